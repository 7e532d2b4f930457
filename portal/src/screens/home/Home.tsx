import { makeStyles, Text, tokens } from "@fluentui/react-components";
import { parseId, pageOf } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { Page } from "../../frames/Page";
import { infoOf } from "../../resources";
import { iconOf } from "../../shell/icons";
import { recent } from "../../shell/recent";
import { SERVICES } from "../../shell/services";
import { t } from "../../texts";

const useStyles = makeStyles({
  tiles: { display: "grid", gridTemplateColumns: "repeat(auto-fill, minmax(220px, 1fr))", gap: "12px", margin: "8px 0 24px", padding: 0, listStyleType: "none" },
  tile: {
    display: "flex",
    gap: "10px",
    alignItems: "center",
    padding: "12px",
    minHeight: "28px",
    border: `1px solid ${tokens.colorNeutralStroke2}`,
    borderRadius: tokens.borderRadiusMedium,
  },
  icon: { fontSize: "24px", display: "flex", color: tokens.colorBrandForeground1 },
  list: { listStyleType: "none", padding: 0, margin: "8px 0", display: "grid", gap: "6px" },
});

export default function Home() {
  const styles = useStyles();
  const ids = recent();
  return (
    <Page title={t.home.title}>
      <Text as="h2" size={400} weight="semibold">
        {t.home.services}
      </Text>
      <ul className={styles.tiles}>
        <li>
          <div className={styles.tile}>
            <span className={styles.icon} aria-hidden>
              {iconOf("all")}
            </span>
            <AppLink to="/create">{t.home.create}</AppLink>
          </div>
        </li>
        {SERVICES.map((service) => (
          <li key={service.id}>
            <div className={styles.tile}>
              <span className={styles.icon} aria-hidden>
                {iconOf(service.icon)}
              </span>
              <AppLink to={service.path}>{service.name}</AppLink>
            </div>
          </li>
        ))}
      </ul>
      <Text as="h2" size={400} weight="semibold">
        {t.home.recent}
      </Text>
      {ids.length === 0 && <p>{t.home.noRecent}</p>}
      <ul className={styles.list}>
        {ids.map((id) => {
          const parsed = parseId(id);
          return parsed ? (
            <li key={id}>
              <AppLink to={pageOf(id)}>{parsed.name}</AppLink> <Text size={200}>{[infoOf(parsed.type)?.one ?? parsed.type, parsed.group].filter(Boolean).join(", ")}</Text>
            </li>
          ) : null;
        })}
      </ul>
    </Page>
  );
}
