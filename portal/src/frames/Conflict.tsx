import { useQuery } from "@tanstack/react-query";
import { readTagged, type Resource } from "../api/arm";
import { parseId } from "../api/resourceId";
import { t } from "../texts";
import { ChangedDialog } from "./ChangedDialog";
import { Loaded } from "./Loaded";

export interface ConflictField {
  label: string;
  /** What would be written over what is there now. */
  mine: (now: Resource) => string;
  theirs: (now: Resource) => string;
}

/** Somebody else changed a resource since it was read: field, theirs, yours, and what to do. */
export function Conflict(props: { id: string; fields: ConflictField[]; onReload: () => void; onOverwrite: (now: { document: Resource; etag: string | undefined }) => void; onCancel: () => void }) {
  const now = useQuery({ queryKey: ["conflict", props.id.toLowerCase()], queryFn: ({ signal }) => readTagged(props.id, signal), staleTime: 0, gcTime: 0 });
  const name = parseId(props.id)?.name ?? props.id;
  const fresh = now.data;
  const by = fresh?.document.systemData;
  return (
    <ChangedDialog
      title={t.conflict.title(name, by?.["lastModifiedBy"], by?.["lastModifiedAt"])}
      before={<Loaded of={now}>{() => null}</Loaded>}
      differences={fresh ? props.fields.map((field) => ({ label: field.label, theirs: field.theirs(fresh.document), mine: field.mine(fresh.document) })) : []}
      onReload={props.onReload}
      onOverwrite={fresh ? () => props.onOverwrite(fresh) : undefined}
      onCancel={props.onCancel}
    />
  );
}
