/** The page of a resource: its menu at the left, the chosen blade beside it. */

import { makeStyles, SearchBox, Spinner, Text, tokens } from "@fluentui/react-components";
import { lazy, Suspense, useEffect, useMemo, useRef, useState, type ComponentType } from "react";
import { useLocation, useParams } from "react-router";
import type { Resource } from "../api/arm";
import { isType, pageOf, splitId, type ResourceId } from "../api/resourceId";
import { infoOf } from "../resources";
import { BLADES, type Blade } from "../screens/blades";
import { iconOf } from "../shell/icons";
import { noteRecent } from "../shell/recent";
import { t } from "../texts";
import { AppLink } from "./AppLink";
import { Failure } from "./Failure";
import { useResource } from "./load";
import { Page, type Crumb } from "./Page";

/** What a blade gets. */
export interface BladeProps {
  id: ResourceId;
  /** The resource as it was read last; undefined while it is read, or where it may not be seen. */
  resource: Resource | undefined;
}

const useStyles = makeStyles({
  frame: { display: "grid", gridTemplateColumns: "220px minmax(0, 1fr)", gap: "24px", "@media (max-width: 800px)": { gridTemplateColumns: "minmax(0, 1fr)" } },
  menu: { fontSize: tokens.fontSizeBase300 },
  group: { marginTop: "12px", marginBottom: "2px", display: "block", color: tokens.colorNeutralForeground2 },
  list: { listStyleType: "none", margin: 0, padding: 0 },
  item: { display: "flex", gap: "8px", alignItems: "center", padding: "4px 6px", borderLeft: "3px solid transparent", "@media (forced-colors: active)": { borderLeftColor: "Canvas" } },
  // A border is there in forced colours too, a shadow is not.
  chosen: { borderLeftColor: tokens.colorBrandStroke1, fontWeight: 600, "@media (forced-colors: active)": { borderLeftColor: "Highlight" } },
});

const loaded = new Map<Blade, ComponentType<BladeProps>>();

function componentOf(blade: Blade): ComponentType<BladeProps> {
  const known = loaded.get(blade);
  if (known) return known;
  const made = lazy(blade.load);
  loaded.set(blade, made);
  return made;
}

/** The blades of a resource type, in the menu's order. */
export function bladesOf(type: string): Blade[] {
  return BLADES.filter((blade) => !blade.types || blade.types.some((each) => isType(each, type)));
}

export default function ResourcePage() {
  const styles = useStyles();
  const path = useParams()["*"] ?? "";
  const split = useMemo(() => splitId("/" + path), [path]);
  const resource = useResource(split?.id.id);
  useEffect(() => {
    if (split && resource.data) noteRecent(resource.data.id ?? split.id.id);
  }, [split, resource.data]);
  if (!split || split.rest.length > 1) {
    return (
      <Page title={t.resource.noneTitle}>
        <Text>{t.resource.none}</Text>
      </Page>
    );
  }
  const { id } = split;
  const blades = bladesOf(id.type);
  const wanted = split.rest[0] ?? "overview";
  // A type without screens of its own is shown as its JSON.
  const blade = blades.find((each) => each.id === wanted) ?? (wanted === "overview" ? blades.find((each) => each.id === "json") : undefined);
  const title = blade && blade.id !== "overview" ? `${nameOf(id, resource.data)} | ${blade.label}` : nameOf(id, resource.data);
  const Content = blade && componentOf(blade);
  return (
    <Page title={title} crumbs={crumbsOf(id)} second={infoOf(id.type)?.one ?? id.type}>
      <div className={styles.frame}>
        <ResourceMenu id={id} blades={blades} chosen={blade?.id} />
        <div>
          {resource.error && <Failure fault={resource.error} retry={() => void resource.refetch()} />}
          {Content ? (
            <Suspense fallback={<Spinner label={t.common.loading} />}>
              <Content key={id.id} id={id} resource={resource.data} />
            </Suspense>
          ) : (
            <Text>{t.resource.noBlade}</Text>
          )}
        </div>
      </div>
    </Page>
  );
}

/** The name that is shown: a subscription's own one. */
function nameOf(id: ResourceId, resource: Resource | undefined): string {
  const display = (resource as { displayName?: unknown } | undefined)?.displayName;
  return typeof display === "string" ? display : id.name;
}

/** The list of the type, and the resources above. */
function crumbsOf(id: ResourceId): Crumb[] {
  const crumbs: Crumb[] = [];
  const above = id.parent ? splitId(id.parent)?.id : undefined;
  // A list of children is a blade of the resource above, which has a page of its own.
  if (above?.type.includes("/") && !above.type.startsWith("Microsoft.Resources/")) {
    const shown = infoOf(above.type) ? above : above.parent ? splitId(above.parent)?.id : undefined;
    if (shown) crumbs.push(...crumbsOf(shown), { label: shown.name, to: pageOf(shown.id) });
    return crumbs;
  }
  const info = infoOf(id.type);
  if (info) crumbs.push({ label: info.many, to: info.list });
  return crumbs;
}

function ResourceMenu({ id, blades, chosen }: { id: ResourceId; blades: Blade[]; chosen: string | undefined }) {
  const styles = useStyles();
  const [wanted, setWanted] = useState("");
  const search = useRef<HTMLInputElement>(null);
  const { pathname } = useLocation();
  // Ctrl+/ goes to the menu's search (Azure's shortcut).
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (!event.ctrlKey || event.key !== "/") return;
      event.preventDefault();
      search.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  useEffect(() => setWanted(""), [pathname]);
  const shown = blades.filter((blade) => blade.label.toLowerCase().includes(wanted.trim().toLowerCase()));
  const groups = [...new Set(shown.map((blade) => blade.group ?? ""))];
  return (
    <nav className={styles.menu} aria-label={t.resource.menu}>
      <SearchBox ref={search} size="small" value={wanted} placeholder={t.resource.searchMenu} aria-label={t.resource.searchMenu} onChange={(_, data) => setWanted(data.value)} />
      {groups.map((group) => (
        <div key={group}>
          {group !== "" && (
            <Text className={styles.group} size={200} weight="semibold">
              {group}
            </Text>
          )}
          <ul className={styles.list}>
            {shown
              .filter((blade) => (blade.group ?? "") === group)
              .map((blade) => (
                <li key={blade.id} className={`${styles.item}${blade.id === chosen ? ` ${styles.chosen}` : ""}`} aria-current={blade.id === chosen ? "page" : undefined}>
                  <span aria-hidden>{iconOf(blade.icon)}</span>
                  <AppLink to={pageOf(id.id, blade.id)}>{blade.label}</AppLink>
                </li>
              ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}
