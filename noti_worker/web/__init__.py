"""What strangers reach, in a process of its own: it takes what providers post, and lets recipients leave."""
