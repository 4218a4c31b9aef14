"""People who steer may read what was answered to a try, all that is kept of it."""

from pathlib import Path

from alembic.util import load_python_file

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

steps = load_python_file(str(Path(__file__).parents[1]), "steps.py")


def upgrade() -> None:
    steps.run_sql("""\
INSERT INTO noti.rights (role, privilege, object, columns)
VALUES ('noti_operator', 'SELECT', 'notification_attempts_log', '{response_data}');
""")
    steps.grant()


def downgrade() -> None:
    steps.run_file("0014_down.sql")
