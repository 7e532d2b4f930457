import { Button, makeStyles } from "@fluentui/react-components";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { readTagged, write, type Resource } from "../../api/arm";
import { asFault } from "../../api/fault";
import { GROUP, isType, SUBSCRIPTION } from "../../api/resourceId";
import { API } from "../../api/versions";
import { CommandButton } from "../../frames/CommandBar";
import { Conflict } from "../../frames/Conflict";
import { Failure } from "../../frames/Failure";
import { TagsField } from "../../frames/TagsField";
import { forgetForm, useForm } from "../../frames/form";
import { LeaveGuard } from "../../frames/LeaveGuard";
import { Loaded } from "../../frames/Loaded";
import type { BladeProps } from "../../frames/ResourcePage";
import { tagFaults, tagMap, type Tag } from "../../rules";
import { announce } from "../../shell/announce";
import { t } from "../../texts";
import { rebased } from "../../twinRules";
import { tagsText } from "../../tagsText";
import { rowsAfter, tagChanges } from "./tagEdits";

const useStyles = makeStyles({ bar: { display: "flex", gap: "8px", margin: "16px 0" } });

interface Values {
  rows: Tag[];
  /** The tags that the rows were made from. */
  base: Record<string, string>;
  /** ETag of the document that had them. */
  etag: string;
}

const rowsOf = (tags: Record<string, string> | undefined): Tag[] => Object.entries(tags ?? {}).map(([name, value]) => ({ name, value }));

const valuesOf = (tags: Record<string, string> | undefined, etag: string | undefined): Values => ({ rows: rowsOf(tags), base: tags ?? {}, etag: etag ?? "" });

/** A write: what is to be, the ETag that it is made on, and the edit that it came from. */
interface Sent {
  tags: Record<string, string>;
  match: string | undefined;
  from: Values;
}

/** Tags of a resource, written against the ETag that was read. */
export default function Tags({ id }: BladeProps) {
  const key = ["tags", id.id.toLowerCase()];
  const found = useQuery({ queryKey: key, queryFn: ({ signal }) => readTagged(id.id, signal) });
  return <Loaded of={found}>{(data) => <Editor key={id.id} id={id} document={data.document} etag={data.etag} queryKey={key} />}</Loaded>;
}

function Editor({ id, document, etag, queryKey }: { id: BladeProps["id"]; document: Resource; etag: string | undefined; queryKey: string[] }) {
  const styles = useStyles();
  const client = useQueryClient();
  // With what the rows began as: a reading that comes later does not take away what somebody typed.
  const form = useForm<Values>(`tags-${id.id.toLowerCase()}`, valuesOf(document.tags, etag));
  const { rows, base } = form.values;
  const setRows = (next: Tag[]) => form.set({ rows: next });
  const dirty = JSON.stringify(tagMap(rows)) !== JSON.stringify(base);
  const begin = (tags: Record<string, string> | undefined, at: string | undefined) => {
    form.set(valuesOf(tags, at));
    forgetForm(form.id);
  };
  useEffect(() => {
    if (!dirty) begin(document.tags, etag);
  }, [document]);
  const newest = useRef(form.values);
  newest.current = form.values;
  const settle = (sent: Sent, written: Written) => {
    const { rows: now } = newest.current;
    if (JSON.stringify(now) === JSON.stringify(sent.from.rows)) return begin(written.tags, written.etag);
    return form.set({ ...valuesOf(written.tags, written.etag), rows: rowsAfter(now, sent.from.rows, written.tags) });
  };
  const onto = (now: Record<string, string> | undefined) => rebased(base, tagMap(rows), now ?? {}) as Record<string, string>;
  const apply = useMutation({
    mutationFn: (sent: Sent) => putTags(id, sent),
    onSuccess: async (written, sent) => {
      settle(sent, written);
      announce(t.tagsBlade.done);
      await client.invalidateQueries();
    },
  });
  const mine = (): Sent => ({ tags: tagMap(rows), match: form.values.etag || undefined, from: form.values });
  const take = async () => {
    apply.reset();
    const fresh = await client.fetchQuery({ queryKey, queryFn: () => readTagged(id.id), staleTime: 0 });
    begin(fresh.document.tags, fresh.etag);
  };
  const fault = apply.error ? asFault(apply.error) : undefined;
  return (
    <>
      {fault && fault.status !== 412 && <Failure fault={fault} retry={() => apply.mutate(mine())} />}
      <p>{t.tags.hint}</p>
      <TagsField value={rows} onChange={setRows} />
      <div className={styles.bar} role="toolbar" aria-label={t.commands.label}>
        <CommandButton
          command={{
            id: "apply",
            label: t.common.apply,
            off: tagFaults(rows).size > 0 ? t.tagsBlade.wrong : !dirty ? t.tagsBlade.same : apply.isPending ? t.common.loading : undefined,
            needs: { action: actionOf(id.type), scope: id.id },
            onClick: () => apply.mutate(mine()),
          }}
        />
        <Button disabled={!dirty} onClick={() => setRows(rowsOf(base))}>
          {t.tagsBlade.discard}
        </Button>
      </div>
      {fault?.status === 412 && (
        <Conflict
          id={id.id}
          fields={[{ label: t.blades.tags, mine: (now) => tagsText(onto(now.tags)), theirs: (now) => tagsText(now.tags) }]}
          onReload={() => void take()}
          onOverwrite={(now) => apply.mutate({ tags: onto(now.document.tags), match: now.etag, from: form.values })}
          onCancel={() => apply.reset()}
        />
      )}
      <LeaveGuard dirty={() => dirty} onLeave={() => forgetForm(form.id)} />
    </>
  );
}

interface Written {
  tags: Record<string, string>;
  etag: string | undefined;
}

/** Groups and resources take tags by PATCH against an ETag. A subscription has them at a resource of their own, which knows none: what is
 * changed is sent, and no more, so that what somebody else set stays. */
async function putTags(id: BladeProps["id"], { tags, match, from }: Sent): Promise<Written> {
  if (!isType(id.type, SUBSCRIPTION)) {
    const reply = await write("PATCH", id.id, { tags }, match);
    return { tags, etag: reply.etag ?? reply.body?.etag };
  }
  let written = tags;
  for (const { operation, tags: named } of tagChanges(from.base, tags)) {
    const body = { operation, properties: { tags: named } };
    const reply = await write<{ properties: { tags?: Record<string, string> } }>("PATCH", `${id.id}/providers/Microsoft.Resources/tags/default`, body, undefined, API.resources);
    written = reply.body.properties.tags ?? {};
  }
  return { tags: written, etag: undefined };
}

function actionOf(type: string): string {
  if (isType(type, SUBSCRIPTION)) return "Microsoft.Resources/tags/write";
  return isType(type, GROUP) ? "Microsoft.Resources/subscriptions/resourceGroups/write" : `${type}/write`;
}
