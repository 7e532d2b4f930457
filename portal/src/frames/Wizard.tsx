/** A wizard: tabs, Previous, Next, Review + create on every tab; what is wrong is counted on the tabs; the last one shows what will be
 * done in words, as lines of `az` and as JSON. */

import { Button, makeStyles, Spinner, tokens } from "@fluentui/react-components";
import { lazy, Suspense, useEffect, useRef, useState, type ReactNode } from "react";
import { useLocation, useNavigate, useSearchParams } from "react-router";
import { Fault } from "../api/fault";
import type { Plan } from "../shell/deployments";
import { announce } from "../shell/announce";
import { deployments } from "../shell/useDeployments";
import { Tab, TabList } from "./Tabs";
import { t } from "../texts";
import { loadResult } from "../screens/screens";
import { Failure } from "./Failure";
import { forgetForm, type Form } from "./form";
import { whenIdle } from "./later";
import { LeaveGuard } from "./LeaveGuard";

export type Faults<V> = Partial<Record<keyof V, string | undefined>>;

export interface WizardTab<V extends object> {
  id: string;
  label: string;
  /** Fields of this tab: what is wrong with them is counted here. */
  fields: (keyof V)[];
  /** The tab; `fault` gives what a field shows. */
  render: (fault: (field: keyof V) => string | undefined) => ReactNode;
  /** Lines of the review: label and value. */
  review: [string, ReactNode][];
  /** Fetches what the tab shows and the page does not begin with. */
  ahead?: () => Promise<unknown>;
}

interface WizardProps<V extends object> {
  form: Form<V>;
  tabs: WizardTab<V>[];
  /** What is wrong with each field, by the page's own rules and live checks. */
  faults: Faults<V>;
  /** The field that a refusal's `target` is about. */
  fieldOf?: (target: string) => keyof V | undefined;
  /** A live check is under way. */
  checking?: boolean;
  plan: () => Omit<Plan, "form">;
  az: string[];
  json: unknown;
  /** Label of the last button; "Create" unless given. */
  action?: string;
  reviewLabel?: string;
  /** In a pane the tabs are not in the address, and whoever opened it is told. */
  inPane?: { onStarted: (deployment: string) => void; onCancel: () => void } | undefined;
  /** Why it cannot be done at all, such as a missing right. */
  refused?: ReactNode;
}

const REVIEW = "review";

const loadReview = () => import("./WizardReview");
const Review = lazy(loadReview);

const useStyles = makeStyles({
  tabs: { flexWrap: "wrap", marginBottom: "16px" },
  dot: {
    display: "inline-block",
    width: "8px",
    height: "8px",
    marginLeft: "6px",
    borderRadius: tokens.borderRadiusCircular,
    backgroundColor: tokens.colorStatusDangerBackground3,
    "@media (forced-colors: active)": { forcedColorAdjust: "none", backgroundColor: "CanvasText" },
  },
  foot: {
    display: "flex",
    flexWrap: "wrap",
    gap: "8px",
    position: "sticky",
    bottom: 0,
    padding: "12px 0",
    backgroundColor: tokens.colorNeutralBackground1,
    borderTop: `1px solid ${tokens.colorNeutralStroke2}`,
  },
});

export function Wizard<V extends object>(props: WizardProps<V>) {
  const styles = useStyles();
  const { form, tabs } = props;
  const navigate = useNavigate();
  const { pathname } = useLocation();
  const [tab, setTab] = useTab(props.inPane !== undefined, tabs[0]?.id ?? REVIEW);
  // What was begun from here: a second click begins nothing more, until that has ended in vain.
  const leaving = useRef<string | undefined>(undefined);
  // The other tabs and what shows the result come with the wizard: once they are wanted, the server may be away.
  useEffect(() => whenIdle(() => [loadResult, loadReview, ...tabs.flatMap((each) => each.ahead ?? [])].forEach((load) => void load().catch(() => undefined))), []);
  const server = useServerFault(props);
  const faultOf = (field: keyof V) => props.faults[field] ?? server.ofField(field);
  const shown = (field: keyof V) => (form.touched(field) ? props.faults[field] : undefined) ?? server.ofField(field);
  const wrong = tabs.map((each) => each.fields.filter((field) => faultOf(field)).length);
  const total = wrong.reduce((sum, count) => sum + count, 0);
  const at = tab === REVIEW ? tabs.length : Math.max(0, tabs.findIndex((each) => each.id === tab));
  const go = (to: string) => {
    if (to === REVIEW) form.touchAll();
    setTab(to);
  };
  const review = () => {
    form.touchAll();
    const first = wrong.findIndex((count) => count > 0);
    if (first >= 0) {
      announce(t.wizard.wrong(total));
      setTab(tabs[first]?.id ?? REVIEW);
    } else setTab(REVIEW);
  };
  const create = () => {
    if (leaving.current !== undefined && !deployments.get(leaving.current)?.ended) return;
    const id = deployments.start({ ...props.plan(), form: { id: form.id, path: pathname } });
    leaving.current = id;
    if (props.inPane) props.inPane.onStarted(id);
    else void navigate(`/deployments/${id}`);
  };
  const current = tabs[at];
  const next = tabs[at + 1];
  const reviewLabel = props.reviewLabel ?? t.wizard.review;
  return (
    <div>
      <TabList className={styles.tabs} selectedValue={current?.id ?? REVIEW} onTabSelect={(_, data) => go(data.value)}>
        {tabs.map((each, index) => (
          <WizardTabLabel key={each.id} id={each.id} label={each.label} wrong={each.fields.some((field) => shown(field)) ? (wrong[index] ?? 0) : 0} />
        ))}
        <Tab value={REVIEW}>{reviewLabel}</Tab>
      </TabList>
      {props.refused}
      {server.fault && <Failure fault={server.fault} />}
      <Suspense fallback={<Spinner label={t.common.loading} />}>
        {current ? current.render(shown) : <Review tabs={tabs} az={props.az} json={props.json} name={form.id} wrong={total} go={go} />}
      </Suspense>
      <div className={styles.foot}>
        {current ? (
          <Button appearance="primary" onClick={review}>
            {reviewLabel}
          </Button>
        ) : (
          <Button appearance="primary" disabledFocusable={total > 0 || props.checking === true} onClick={create}>
            {props.action ?? t.wizard.create}
          </Button>
        )}
        <Button disabled={at === 0} onClick={() => go(tabs[at - 1]?.id ?? REVIEW)}>
          {t.wizard.previous}
        </Button>
        {current && <Button onClick={() => (next ? go(next.id) : review())}>{t.wizard.next(next?.label ?? reviewLabel)}</Button>}
        {props.inPane && <Button onClick={props.inPane.onCancel}>{t.common.cancel}</Button>}
      </div>
      {!props.inPane && <LeaveGuard dirty={() => form.dirty && leaving.current === undefined} onLeave={() => forgetForm(form.id)} />}
    </div>
  );
}

function WizardTabLabel({ id, label, wrong }: { id: string; label: string; wrong: number }) {
  const styles = useStyles();
  return (
    <Tab value={id} aria-label={wrong > 0 ? t.wizard.tabWrong(label, wrong) : label}>
      {label}
      {wrong > 0 && <span className={styles.dot} aria-hidden />}
    </Tab>
  );
}

/** The tab that is shown: in the address of a page, so that Back goes to the tab before. */
function useTab(inPane: boolean, first: string): [string, (tab: string) => void] {
  const [params, setParams] = useSearchParams();
  const [local, setLocal] = useState(first);
  if (inPane) return [local, setLocal];
  return [
    params.get("tab") ?? first,
    (tab) =>
      setParams((before) => {
        const after = new URLSearchParams(before);
        after.set("tab", tab);
        return after;
      }),
  ];
}

/** What the server refused when this form was sent last, until its field is changed. */
function useServerFault<V extends object>(props: WizardProps<V>) {
  const last = deployments.ofForm(props.form.id);
  const parts = last?.ended ? last.steps.find((step) => step.fault)?.fault : undefined;
  const fault = parts && new Fault(parts);
  const field = fault?.target ? props.fieldOf?.(fault.target) : undefined;
  const gone = field !== undefined && props.form.touched(field);
  return {
    fault: fault && !gone && !(field === undefined && !props.form.dirty) ? fault : undefined,
    ofField: (name: keyof V) => (fault && !gone && name === field && !props.form.touched(name) ? fault.message : undefined),
  };
}
