import { Button, makeStyles, Text } from "@fluentui/react-components";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { asFault } from "../../api/fault";
import { patchTwin, readTwin, type Twin } from "../../api/hubData";
import { ChangedDialog } from "../../frames/ChangedDialog";
import { CommandBar } from "../../frames/CommandBar";
import { Confirm } from "../../frames/Confirm";
import { Failure } from "../../frames/Failure";
import { forgetForm, useForm } from "../../frames/form";
import { JsonView } from "../../frames/JsonView";
import { LeaveGuard } from "../../frames/LeaveGuard";
import { Loaded } from "../../frames/Loaded";
import { announce } from "../../shell/announce";
import { t } from "../../texts";
import { patched, patchOf, readPart, written } from "../../twinRules";
import JsonField from "../../frames/JsonField";
import { useTwin } from "./devices";

const useStyles = makeStyles({ columns: { display: "grid", gridTemplateColumns: "repeat(auto-fit, minmax(min(440px, 100%), 1fr))", gap: "24px" } });

/** The twin: tags and desired properties are edited, what the device reported is shown. */
export default function TwinTab({ host, device }: { host: string; device: string }) {
  const [turn, setTurn] = useState(0);
  const found = useTwin(host, device);
  const fresh = async () => {
    await found.refetch();
    setTurn(turn + 1);
  };
  return (
    <Loaded of={found}>
      {(twin) => <Editor key={`${host}/${device}/${turn}`} host={host} twin={twin} onFresh={() => void fresh()} />}
    </Loaded>
  );
}

type Part = Record<string, unknown>;

/** What is edited, with what it was made from: both stay as they are while the device reports on, and over a reload. */
interface Values {
  tags: string;
  desired: string;
  before: { tags: Part; desired: Part };
  etag: string;
  version: number;
}

/** A write: the ETag that it is made on, and the edit that it came from. */
interface Save {
  match: string;
  from: Values;
}

const textOf = (part: Part): string => JSON.stringify(part, null, 2);

function valuesOf(twin: Twin): Values {
  const before = { tags: written(twin.tags), desired: written(twin.properties?.desired) };
  return { tags: textOf(before.tags), desired: textOf(before.desired), before, etag: twin.etag ?? "*", version: twin.version ?? 0 };
}

/** What is edited, what is wrong with it, the change that it makes, and the way in which it is written. */
function useEdit(host: string, twin: Twin, onFresh: () => void) {
  const client = useQueryClient();
  const [first] = useState(() => valuesOf(twin));
  const form = useForm(`twin-${host}-${twin.deviceId}`, first);
  const { tags, desired, before } = form.values;
  const newest = useRef(form.values);
  newest.current = form.values;
  const device = twin.deviceId;
  const readTags = readPart("tags", tags);
  const readDesired = readPart("properties.desired", desired);
  const dirty = tags !== textOf(before.tags) || desired !== textOf(before.desired);
  useEffect(() => {
    // What was kept and changes nothing is older than what was read now.
    if (!dirty) form.clear();
    // Once, when it is opened.
  }, []);
  const change = { tags: patchOf(before.tags, readTags.value ?? before.tags), desired: patchOf(before.desired, readDesired.value ?? before.desired) };
  const begin = () => {
    forgetForm(form.id);
    onFresh();
  };
  const typedSince = (sent: Values | undefined) => sent !== undefined && (newest.current.tags !== sent.tags || newest.current.desired !== sent.desired);
  const save = useMutation({
    mutationFn: async ({ match }: Save) => {
      const patch: Partial<Twin> = {};
      if (Object.keys(change.tags).length > 0) patch.tags = change.tags;
      if (Object.keys(change.desired).length > 0) patch.properties = { desired: change.desired };
      return Object.keys(patch).length > 0 ? patchTwin(host, device, patch, match) : undefined;
    },
    onSuccess: async (now, { from }) => {
      announce(t.devices.saved);
      // What was typed since was made from what was sent: that is written, and the next patch has the rest.
      const sent = { tags: readPart("tags", from.tags).value ?? from.before.tags, desired: readPart("properties.desired", from.desired).value ?? from.before.desired };
      form.set({ before: sent, ...(now ? { etag: now.etag ?? "*", version: now.version ?? from.version } : {}) });
      await client.invalidateQueries({ queryKey: ["twin", host, device] });
      if (!typedSince(from)) begin();
    },
  });
  const unsent = save.isPending ? typedSince(save.variables?.from) : dirty;
  return { form, readTags, readDesired, dirty, unsent, change, begin, save };
}

function Editor({ host, twin, onFresh }: { host: string; twin: Twin; onFresh: () => void }) {
  const styles = useStyles();
  const { form, readTags, readDesired, dirty, unsent, change, begin, save } = useEdit(host, twin, onFresh);
  const [asking, setAsking] = useState(false);
  const { tags, desired, before } = form.values;
  const device = twin.deviceId;
  const wrong = readTags.fault ?? readDesired.fault;
  const fault = save.error ? asFault(save.error) : undefined;
  return (
    <>
      <CommandBar
        commands={[
          { id: "save", label: t.common.save, off: wrong ? t.devices.invalid : !dirty ? t.tagsBlade.same : save.isPending ? t.common.loading : undefined, onClick: () => save.mutate({ match: form.values.etag, from: form.values }) },
          { id: "refresh", label: t.list.refresh, onClick: () => (dirty ? setAsking(true) : begin()) },
        ]}
      />
      {fault && fault.status !== 412 && <Failure fault={fault} />}
      <Text size={200} block>
        {t.devices.version(form.values.version)}
      </Text>
      <div className={styles.columns}>
        <div>
          <JsonField label={t.devices.tags} value={tags} fault={readTags.fault} onChange={(text) => form.set({ tags: text })} />
          <JsonField label={t.devices.desired} value={desired} fault={readDesired.fault} onChange={(text) => form.set({ desired: text })} rows={14} />
          <Button disabled={!dirty} onClick={() => form.set({ tags: textOf(before.tags), desired: textOf(before.desired) })}>
            {t.tagsBlade.discard}
          </Button>
        </div>
        <div>
          <Text weight="semibold" block>
            {t.devices.reported}
          </Text>
          <JsonView value={twin.properties?.reported ?? {}} name={`${device} ${t.devices.reported}`} />
        </div>
      </div>
      {fault?.status === 412 && <Changed host={host} device={device} mine={{ tags, desired }} change={change} onReload={begin} onOverwrite={(now) => save.mutate({ match: now.etag ?? "*", from: form.values })} onCancel={() => save.reset()} />}
      <Confirm open={asking} title={t.edits.freshTitle} action={t.edits.fresh} onConfirm={begin} onClose={() => setAsking(false)}>
        {t.edits.freshText}
      </Confirm>
      {/* Other tabs of the device come back to what was typed. */}
      <LeaveGuard dirty={() => unsent} onLeave={() => forgetForm(form.id)} leaves={(from, to) => from.pathname !== to.pathname || new URLSearchParams(to.search).get("device") !== device} />
    </>
  );
}

function Changed(props: { host: string; device: string; mine: { tags: string; desired: string }; change: { tags: Part; desired: Part }; onReload: () => void; onOverwrite: (now: Twin) => void; onCancel: () => void }) {
  const now = useQuery({ queryKey: ["twin-conflict", props.host, props.device], queryFn: ({ signal }) => readTwin(props.host, props.device, signal), staleTime: 0, gcTime: 0 });
  const twin = now.data;
  const theirs = twin && { tags: textOf(written(twin.tags)), desired: textOf(written(twin.properties?.desired)) };
  const rows = theirs
    ? [
        { label: t.devices.tags, theirs: theirs.tags, typed: props.mine.tags, mine: textOf(patched(written(twin.tags), props.change.tags)) },
        { label: t.devices.desired, theirs: theirs.desired, typed: props.mine.desired, mine: textOf(patched(written(twin.properties?.desired), props.change.desired)) },
      ].filter((row) => row.theirs !== row.typed)
    : [];
  return (
    <ChangedDialog
      title={t.devices.conflictTitle(props.device)}
      before={<Loaded of={now}>{() => null}</Loaded>}
      differences={rows}
      onReload={props.onReload}
      onOverwrite={twin ? () => props.onOverwrite(twin) : undefined}
      onCancel={props.onCancel}
    />
  );
}
