import { Link } from "@fluentui/react-components";
import { useMemo, useState } from "react";
import { pageOf, parseId } from "../../api/resourceId";
import { AppLink } from "../../frames/AppLink";
import { List, type Column } from "../../frames/List";
import type { Source } from "../../frames/listSource";
import { Pane } from "../../frames/Pane";
import { infoOf } from "../../resources";
import { soon } from "../../frames/later";
import { t } from "../../texts";
import { readEvents, SPANS, type Event } from "./activityLog";

const EventView = soon(() => import("./EventView"));

const STATUSES = ["Started", "Accepted", "Succeeded", "Failed"];
const LEVELS = ["Critical", "Error", "Warning", "Informational"];
/** Hours that are looked at unless others are chosen. */
const HOURS = 6;

/** The log of a subscription, of a group in it, or of one resource. */
export function ActivityLog({ subscription, resource, group }: { subscription: string; resource?: string; group?: string }) {
  const [shown, setShown] = useState<Event | undefined>(undefined);
  const source = useMemo(
    (): Source<Event> => ({
      key: ["activity", subscription, resource?.toLowerCase(), group?.toLowerCase()],
      kind: "continued",
      load: async (query, after, signal) => {
        const { facets } = query;
        const filter = {
          hours: Number(facets["span"]) || HOURS,
          resource,
          group,
          caller: query.filter.trim() || undefined,
          status: facets["status"],
          level: facets["level"],
        };
        const page = await readEvents(subscription, filter, after, signal);
        return { rows: page.rows, total: undefined, more: page.next !== undefined, next: page.next };
      },
    }),
    [subscription, resource, group],
  );
  const columns = useMemo(
    (): Column<Event>[] => [
      {
        id: "operation",
        label: t.activity.operation,
        text: (event) => event.operationName.localizedValue || event.operationName.value,
        show: (event) => (
          <Link as="button" style={{ textAlign: "start" }} onClick={() => setShown(event)}>
            {event.operationName.localizedValue || event.operationName.value}
          </Link>
        ),
        unsorted: true,
      },
      { id: "status", label: t.activity.status, text: (event) => event.status.value, unsorted: true },
      { id: "time", label: t.activity.time, text: (event) => new Date(event.eventTimestamp).toLocaleString(), unsorted: true },
      { id: "stamp", label: t.activity.stamp, text: (event) => event.eventTimestamp, hidden: true, unsorted: true },
      { id: "resource", label: t.activity.resource, text: (event) => event.resourceId, show: (event) => <ResourceLink id={event.resourceId} />, unsorted: true },
      { id: "caller", label: t.activity.caller, text: (event) => event.caller ?? "", unsorted: true },
    ],
    [],
  );
  return (
    <>
      <p>{t.activity.hint}</p>
      <List
        finds={t.activity.finds}
        label={t.blades.activity}
        source={source}
        columns={columns}
        rowId={(event) => event.eventDataId}
        facets={[
          { id: "span", label: t.activity.span, choices: SPANS.map((hours) => ({ value: String(hours), label: t.activity.hours(hours) })) },
          { id: "status", label: t.activity.status, choices: STATUSES.map((value) => ({ value, label: value })) },
          { id: "level", label: t.activity.level, choices: LEVELS.map((value) => ({ value, label: value })) },
        ]}
        empty={t.activity.empty}
      />
      <Pane open={shown !== undefined} wide title={shown?.operationName.localizedValue ?? ""} onClose={() => setShown(undefined)}>
        {shown && <EventView event={shown} />}
      </Pane>
    </>
  );
}

/** A link to the resource where the page knows its kind. */
function ResourceLink({ id }: { id: string }) {
  const parsed = parseId(id);
  return parsed && infoOf(parsed.type) ? <AppLink to={pageOf(id)}>{parsed.name}</AppLink> : <>{parsed?.name ?? id}</>;
}
