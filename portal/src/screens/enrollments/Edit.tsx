import { MessageBar, MessageBarBody, Spinner, Text } from "@fluentui/react-components";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Suspense, useEffect, useRef, useState } from "react";
import { useParams } from "react-router";
import type { Resource } from "../../api/arm";
import { enrollmentPath, readEnrollment, type Enrollment, type Kind } from "../../api/provisioningData";
import { pageOf, parseId, type ResourceId } from "../../api/resourceId";
import { ChangedDialog } from "../../frames/ChangedDialog";
import { forgetForm, useForm } from "../../frames/form";
import { soon } from "../../frames/later";
import { LeaveGuard } from "../../frames/LeaveGuard";
import { useResource } from "../../frames/load";
import { Loaded } from "../../frames/Loaded";
import { Page } from "../../frames/Page";
import { Wizard } from "../../frames/Wizard";
import { announce } from "../../shell/announce";
import { NotFound } from "../../shell/NotFound";
import { deployments, useDeployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { nameIn } from "../../wellFormed";
import { serviceHost } from "../provisioning/host";
import { afterWrite, azOf, bodyOf, differences, editedOf, faultsOf, fieldOf, NOTHING, rebasedOnto, shownBody, unsentOf, valuesOf, type Unkept, type Values } from "./enrollment";
import { enrollmentPage } from "./paths";
import { tabsOf } from "./tabs";

const Keys = soon(() => import("./Keys"));
const Registrations = soon(async () => ({ default: (await import("../registrations/Registrations")).Registrations }));

/** An enrollment that is there: the same tabs with **Save**, its keys on demand, and what registered through it. */
export default function Edit() {
  const params = useParams();
  const kind: Kind = params["kind"] === "individual" ? "individual" : "group";
  const name = nameIn(params["name"] ?? "");
  const id = parseId("/" + (params["*"] ?? ""));
  const service = useResource(id?.id);
  if (!id) return <NotFound />;
  return (
    <Page title={name} second={kind === "group" ? t.enrollments.groups : t.enrollments.individuals} crumbs={[{ label: t.dps.title, to: "/provisioning-services" }, { label: id.name, to: pageOf(id.id) }, { label: t.enrollments.title, to: `${pageOf(id.id, "enrollments")}?kind=${kind}` }]}>
      <Loaded of={service}>{(found) => <Reader key={`${kind} ${id.id} ${name}`} kind={kind} id={id} service={found} name={name} />}</Loaded>
    </Page>
  );
}

function Reader({ kind, id, service, name }: { kind: Kind; id: ResourceId; service: Resource; name: string }) {
  const host = serviceHost(service);
  const [turn, setTurn] = useState(0);
  const found = useQuery({ queryKey: ["enrollment", host, kind, name.toLowerCase()], queryFn: ({ signal }) => readEnrollment(host, kind, name, signal) });
  return (
    <>
      <Suspense fallback={null}>{found.data?.attestation.type === "symmetricKey" && <Keys host={host} kind={kind} name={name} scope={id.id} />}</Suspense>
      <Loaded of={found}>
        {(enrollment) => <Editor key={turn} kind={kind} id={id} service={service} enrollment={enrollment} onFresh={() => setTurn(turn + 1)} />}
      </Loaded>
      <Text as="h2" size={400} weight="semibold" block>
        {t.enrollments.records}
      </Text>
      <Suspense fallback={<Spinner label={t.common.loading} />}>{found.data && <Registrations id={id} host={host} {...(kind === "group" ? { group: name } : { one: name })} />}</Suspense>
    </>
  );
}

interface EditorProps {
  kind: Kind;
  id: ResourceId;
  service: Resource;
  enrollment: Enrollment;
  /** Begins anew with what is read now. */
  onFresh: () => void;
}

/** A write that was begun from here, and the edit that it came from. */
interface Started {
  id: string;
  values: Values;
  unkept: Unkept;
}

/** What is edited, and its write. */
function useEdit({ kind, id, service, enrollment, onFresh }: EditorProps) {
  const client = useQueryClient();
  const host = serviceHost(service);
  // What is edited stays as it was read, also when a later reading comes in.
  const [base, setBase] = useState(enrollment);
  const form = useForm(`enrollment-${kind}-${id.id.toLowerCase()}-${base.enrollmentGroupId ?? base.registrationId ?? ""}`, editedOf(kind, base));
  const [unkept, setUnkept] = useState<Unkept>(NOTHING);
  const [started, setStarted] = useState<Started | undefined>(undefined);
  const newest = useRef({ values: form.values, unkept });
  newest.current = { values: form.values, unkept };
  const typedSince = (sent: Started) => newest.current.unkept !== sent.unkept || JSON.stringify(newest.current.values) !== JSON.stringify(sent.values);
  const deployment = useDeployments().find((each) => each.id === started?.id);
  const ended = deployment?.ended;
  const fault = ended ? deployment?.steps.find((step) => step.fault)?.fault : undefined;
  const fresh = async () => {
    forgetForm(form.id);
    await client.refetchQueries({ queryKey: ["enrollment", host, kind] });
    onFresh();
  };
  const settle = async (sent: Started) => {
    const now = await readEnrollment(host, kind, sent.values.name);
    await client.refetchQueries({ queryKey: ["enrollment", host, kind] });
    // Only now: what is typed while it is read stays, too.
    if (!typedSince(sent)) {
      forgetForm(form.id);
      return onFresh();
    }
    setBase(now);
    form.set(afterWrite(newest.current.values, sent.values, valuesOf(kind, now)));
    setUnkept(unsentOf(newest.current.unkept, sent.unkept));
    return setStarted(undefined);
  };
  useEffect(() => {
    if (!ended || fault || !started) return;
    announce(t.enrollments.saved);
    // Without a reading the edit stays on the one before: its next write is told of the difference.
    void settle(started).catch(() => setStarted(undefined));
    // Once, when the write has ended.
  }, [ended, fault]);
  const unsent = () => (started && !fault ? typedSince(started) : form.dirty || Object.values(unkept).some((each) => each));
  const begun = (deployment: string) => setStarted({ id: deployment, values: form.values, unkept });
  return { host, base, form, unkept, setUnkept, running: deployment !== undefined && !ended, fault, fresh, unsent, begun, done: () => setStarted(undefined) };
}

function Editor(props: EditorProps) {
  const { kind, id, service } = props;
  const { host, base, form, unkept, setUnkept, running, fault, fresh, unsent, begun, done } = useEdit(props);
  const { values } = form;
  const own = faultsOf(kind, values, unkept, true);
  const body = bodyOf(kind, values, unkept, base);
  const title = t.enrollments.plan(values.name);
  const planOf = (sent: Enrollment, etag: string) => ({
    title,
    form: { id: form.id, path: enrollmentPage(id.id, kind, values.name) },
    steps: [{ title, method: "PUT" as const, path: enrollmentPath(host, kind, values.name), audience: "dps" as const, body: sent, headers: { "If-Match": `"${etag}"` } }],
  });
  return (
    <>
      {running && (
        <MessageBar>
          <MessageBarBody>{t.deployment.running(title)}</MessageBarBody>
        </MessageBar>
      )}
      <Wizard
        form={form}
        faults={{ ...own, mechanism: own.files }}
        checking={running}
        fieldOf={fieldOf}
        tabs={tabsOf({ kind, id, service, form, unkept, setUnkept: (change) => setUnkept((before) => ({ ...before, ...change })), faults: own, existing: base, taken: false })}
        plan={() => planOf(body, values.etag)}
        az={[azOf(kind, id.name, id.group, values, unkept, true)]}
        json={shownBody(body)}
        action={t.enrollments.save}
        reviewLabel={t.enrollments.reviewSave}
        inPane={{ onStarted: begun, onCancel: () => void fresh() }}
      />
      <LeaveGuard dirty={unsent} onLeave={() => forgetForm(form.id)} />
      {fault?.status === 412 && (
        <Changed
          read={() => readEnrollment(host, kind, values.name)}
          differences={(theirs) => differences(valuesOf(kind, theirs), values, rebasedOnto(values, valuesOf(kind, theirs)))}
          title={t.enrollments.conflict(values.name)}
          onReload={() => {
            done();
            void fresh();
          }}
          onOverwrite={(theirs) => begun(deployments.start(planOf(bodyOf(kind, rebasedOnto(values, valuesOf(kind, theirs)), unkept, theirs), theirs.etag ?? "*")))}
          onCancel={done}
        />
      )}
    </>
  );
}

function Changed(props: {
  title: string;
  read: () => Promise<Enrollment>;
  differences: (theirs: Enrollment) => { label: string; theirs: string; mine: string }[];
  onReload: () => void;
  onOverwrite: (theirs: Enrollment) => void;
  onCancel: () => void;
}) {
  const now = useQuery({ queryKey: ["enrollment-conflict", props.title], queryFn: props.read, staleTime: 0, gcTime: 0 });
  const theirs = now.data;
  return (
    <ChangedDialog
      title={props.title}
      before={<Loaded of={now}>{() => null}</Loaded>}
      differences={theirs ? props.differences(theirs) : []}
      onReload={props.onReload}
      onOverwrite={theirs ? () => props.onOverwrite(theirs) : undefined}
      onCancel={props.onCancel}
    />
  );
}
