REVOKE EXECUTE ON FUNCTION noti.on_version_change(), noti.on_template(), noti.on_version(), noti.keep_version(text, text, text, text, text) FROM PUBLIC;
CREATE TRIGGER template_versions_immutable BEFORE UPDATE ON noti.template_versions FOR EACH ROW EXECUTE FUNCTION noti.on_version_change();
CREATE TRIGGER templates_version AFTER INSERT OR UPDATE OR DELETE ON noti.templates FOR EACH ROW EXECUTE FUNCTION noti.on_template();

-- Nobody writes templates from here on until this is committed: none is missed.
INSERT INTO noti.template_versions (tenant_id, template_id, version, subject, body, html, published_at, published_by)
SELECT t.tenant_id, t.template_id, 1, t.subject, t.body, t.html, t.updated_at, noti.actor() FROM noti.templates t;
CREATE TRIGGER template_versions_newest AFTER INSERT ON noti.template_versions FOR EACH ROW WHEN (NEW.channel = '' AND NEW.locale = '')
  EXECUTE FUNCTION noti.on_version();
