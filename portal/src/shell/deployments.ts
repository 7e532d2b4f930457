/** Writes in progress: what was asked for, as data, so that the bell and a page that is loaded again know how far it is.
 * A deployment is a row of steps, each one request with the operation that it began. Nothing is sent twice by itself. */

import { asFault, Fault, refusalIn, type FaultParts } from "../api/fault";
import { send, type Audience, type Method } from "../api/http";
import { begun, follow, OperationFault, type Operation, type Part } from "../api/operation";

export type StepState = "waiting" | "running" | "done" | "failed" | "unknown";

/** What one step is to do. */
export interface StepPlan {
  title: string;
  method: Method;
  path: string;
  audience?: Audience;
  body?: unknown;
  headers?: Record<string, string>;
  /** Codes of refusals that mean that it is as it should be, such as `RoleAssignmentExists`. */
  fine?: string[];
  /** The body is a secret: it is kept in memory only, and the step cannot be tried again after a reload. */
  secret?: boolean;
  /** What becomes of each part is wanted, such as of each hub. */
  byPart?: boolean;
}

export interface Step extends StepPlan {
  state: StepState;
  operation?: Operation | undefined;
  percent?: number | undefined;
  parts?: Part[] | undefined;
  fault?: FaultParts | undefined;
  /** What is said beside "done", such as "was there already". */
  note?: string | undefined;
  /** The server could not be asked how far it is. */
  away?: boolean | undefined;
  began?: number | undefined;
  ended?: number | undefined;
}

export interface Plan {
  title: string;
  steps: StepPlan[];
  /** Where **Go to resource** leads, or **Go to the list** where the resource is gone: a path of the page. */
  target?: string | undefined;
  /** The wizard that asked for it: its id, under which the values are kept, and its path. */
  form?: { id: string; path: string } | undefined;
  /** A failed step does not keep the next ones from being tried: they do not need each other. */
  independent?: boolean;
}

export interface Deployment extends Omit<Plan, "steps"> {
  id: string;
  steps: Step[];
  /** Milliseconds since 1970. */
  began: number;
  ended?: number | undefined;
  seen: boolean;
  /** Another window carries it out: what is shown is what was known when this one was opened. */
  elsewhere?: boolean;
}

/** The browser's locks, as far as they are used: one window at a time carries a deployment out. */
export interface Locks {
  request: (name: string, options: { ifAvailable: true }, held: (lock: unknown) => Promise<void>) => Promise<unknown>;
}

const KEY = "ferrohub.deployments";
/** Those that are kept; one that has not ended is, however many there are. */
const KEPT = 30;

type Listener = () => void;
export type Told = (deployment: Deployment, what: "started" | "ended") => void;

/** All deployments of this window. */
export class Deployments {
  private list: Deployment[] = [];
  private readonly listeners = new Set<Listener>();
  private readonly told = new Set<Told>();
  private readonly storage: Pick<Storage, "getItem" | "setItem">;
  private readonly pause: (ms: number) => Promise<void>;
  private readonly now: () => number;
  private readonly locks: Locks | undefined;
  /** Ends the lock of each deployment that this window has. */
  private readonly held = new Map<string, () => void>();

  /** @param locks none where there is but this window, as in tests */
  constructor(
    storage: Pick<Storage, "getItem" | "setItem">,
    pause: (ms: number) => Promise<void> = (ms) => new Promise((done) => setTimeout(done, ms)),
    now: () => number = () => new Date().getTime(),
    locks?: Locks,
  ) {
    this.storage = storage;
    this.pause = pause;
    this.now = now;
    this.locks = locks;
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  snapshot = (): Deployment[] => this.list;

  /** Calls `told` when one begins or ends. */
  onTold(told: Told): () => void {
    this.told.add(told);
    return () => this.told.delete(told);
  }

  get(id: string): Deployment | undefined {
    return this.list.find((deployment) => deployment.id === id);
  }

  /** The newest of a wizard. */
  ofForm(form: string): Deployment | undefined {
    return this.list.find((deployment) => deployment.form?.id === form);
  }

  /** Begins `plan`; gives its id. */
  start(plan: Plan): string {
    const id = crypto.randomUUID();
    const steps = plan.steps.map((step): Step => ({ ...step, state: "waiting" }));
    const all: Deployment[] = [{ ...plan, id, steps, began: this.now(), seen: false }, ...this.list];
    this.list = all.filter((deployment, at) => at < KEPT || !deployment.ended);
    this.letGo();
    this.changed();
    this.tell(id, "started");
    void this.hold(id);
    void this.run(id);
    return id;
  }

  /** Begins and waits for its end.
   * @throws Fault of the first step that failed. */
  async perform(plan: Plan): Promise<Deployment> {
    const id = this.start(plan);
    await new Promise<void>((done) => {
      const stop = this.onTold((deployment, what) => {
        if (deployment.id !== id || what !== "ended") return;
        stop();
        done();
      });
    });
    const ended = this.get(id);
    const failed = ended?.steps.find((step) => step.fault);
    if (failed?.fault) throw new Fault(failed.fault);
    if (!ended) throw new Fault({ status: 0, code: "Forgotten", message: "The operation is no longer known." });
    return ended;
  }

  /** Goes on with what failed or is unknown: an operation that was begun and not seen to end is asked for, any other request is sent again. */
  again(id: string): void {
    void this.hold(id).then((mine) => {
      const deployment = this.get(id);
      if (!deployment?.ended) return;
      if (!mine) return this.put({ ...deployment, elsewhere: true });
      const steps = deployment.steps.map((step): Step =>
        step.state === "failed" || step.state === "unknown" ? { ...step, state: "waiting", fault: undefined, parts: undefined } : step,
      );
      this.put({ ...deployment, steps, ended: undefined, seen: false });
      void this.run(id);
    });
  }

  markSeen(): void {
    this.list = this.list.map((deployment) => ({ ...deployment, seen: true }));
    this.changed();
  }

  /** Takes finished ones off the list: one, or all. */
  dismiss(id?: string): void {
    this.list = this.list.filter((deployment) => !deployment.ended || (id !== undefined && deployment.id !== id));
    this.letGo();
    this.changed();
  }

  /** Takes up what an earlier load of the page left. A window that was duplicated has a copy of the list: what the first one still has is
   * only shown here. */
  restore(): void {
    try {
      this.list = JSON.parse(this.storage.getItem(KEY) ?? "[]") as Deployment[];
    } catch {
      this.list = [];
    }
    for (const { id } of this.list) void this.hold(id).then((mine) => this.takeUp(id, mine));
  }

  private takeUp(id: string, mine: boolean): void {
    const deployment = this.get(id);
    if (!deployment) return;
    if (!mine) {
      this.put({ ...deployment, elsewhere: true, ended: deployment.ended ?? this.now() });
    } else if (!deployment.ended) {
      // Whether a request that had no answer was carried out is not known: a person decides.
      const steps = deployment.steps.map((step): Step =>
        step.state === "running" && !step.operation ? { ...step, state: "unknown" } : step,
      );
      this.put({ ...deployment, steps });
      void this.run(id);
    }
  }

  /** Gets the right to carry a deployment out, and keeps it as long as the window knows it: also when it has ended, for a copy of this window
   * may know less. */
  private async hold(id: string): Promise<boolean> {
    const { locks } = this;
    if (!locks || this.held.has(id)) return true;
    return new Promise((answer) => {
      const kept = (lock: unknown) => {
        if (!lock) return Promise.resolve(answer(false));
        return new Promise<void>((end) => {
          this.held.set(id, end);
          answer(true);
        });
      };
      // Where the browser refuses locks there is nobody to share with.
      locks.request(`ferrohub.deployment.${id}`, { ifAvailable: true }, kept).catch(() => answer(true));
    });
  }

  /** Ends the locks of what is no longer in the list. */
  private letGo(): void {
    for (const [id, end] of this.held) {
      if (this.get(id)) continue;
      this.held.delete(id);
      end();
    }
  }

  private async run(id: string): Promise<void> {
    const count = this.get(id)?.steps.length ?? 0;
    for (let at = 0; at < count; at += 1) {
      const state = this.get(id)?.steps[at]?.state;
      if (state === "waiting" || state === "running") await this.runStep(id, at);
      const now = this.get(id);
      const over = now?.steps[at]?.state;
      if ((over === "failed" || over === "unknown") && !now?.independent) break;
    }
    const deployment = this.get(id);
    if (!deployment) return;
    this.put({ ...deployment, ended: this.now(), seen: false });
    this.tell(id, "ended");
  }

  private async runStep(id: string, at: number): Promise<void> {
    const step = this.get(id)?.steps[at];
    if (!step) return;
    try {
      let operation = step.operation;
      this.putStep(id, at, { state: "running", began: operation ? step.began : this.now() });
      if (!operation) {
        const call = { method: step.method, path: step.path, audience: step.audience ?? ("arm" as const), body: step.body };
        const reply = await send<unknown>(step.headers ? { ...call, headers: step.headers } : call);
        operation = begun(step.method, step.path, reply, step.byPart);
        const refusal = operation ? undefined : refusalIn(reply.body);
        if (refusal) throw refusal;
        this.putStep(id, at, { operation });
      }
      if (operation) {
        const end = await follow(operation, this.pause, (progress) => {
          this.putStep(id, at, progress.away ? { away: true } : { away: false, percent: progress.percent, parts: progress.parts ?? [] });
        });
        this.putStep(id, at, { parts: partsOf(end.body) ?? end.parts });
      }
      this.putStep(id, at, { state: "done", ended: this.now() });
    } catch (thrown) {
      this.putStep(id, at, { ...outcomeOf(step, this.get(id)?.steps[at]?.operation, asFault(thrown)), away: false, ended: this.now() });
    }
  }

  private putStep(id: string, at: number, change: Partial<Step>): void {
    const deployment = this.get(id);
    if (!deployment) return;
    this.put({ ...deployment, steps: deployment.steps.map((step, index) => (index === at ? { ...step, ...change } : step)) });
  }

  private put(changed: Deployment): void {
    this.list = this.list.map((deployment) => (deployment.id === changed.id ? changed : deployment));
    this.changed();
  }

  private changed(): void {
    const kept = this.list.map((deployment) => ({
      ...deployment,
      steps: deployment.steps.map((step) => (step.secret ? { ...step, body: undefined } : step)),
    }));
    try {
      this.storage.setItem(KEY, JSON.stringify(kept));
    } catch {
      // Full: the list of this load stays true, the next one will know less.
    }
    for (const listener of this.listeners) listener();
  }

  private tell(id: string, what: "started" | "ended"): void {
    const deployment = this.get(id);
    if (deployment) for (const told of [...this.told]) told(deployment, what);
  }
}

/** What a fault makes of a step: it failed where the server refused it, or told that it did. Where no answer came, or none of how the
 * operation ended, that is not known; an operation that was not seen to end is kept, so that it is asked for again and not begun again. */
function outcomeOf(step: Step, operation: Operation | undefined, fault: Fault): Partial<Step> {
  if (step.fine?.includes(fault.code)) return { state: "done", note: fault.message };
  const parts = fault instanceof OperationFault ? fault.parts : undefined;
  const over = operation !== undefined && (fault instanceof OperationFault || fault.status === 404 || fault.status === 410);
  const told = operation ? over || (fault.status >= 400 && fault.status < 500) : fault.code !== "Unreachable";
  return { state: told ? "failed" : "unknown", fault: fault.plain(), parts, operation: over ? undefined : operation };
}

function partsOf(body: unknown): Part[] | undefined {
  const list = (body as { operations?: unknown } | undefined)?.operations;
  if (!Array.isArray(list)) return undefined;
  return list.map((part: { id?: string; resourceId?: string; status?: string }) => ({
    id: part.resourceId ?? part.id ?? "",
    status: part.status ?? "",
  }));
}

/** The step at which a deployment goes on, where it may be taken up from this window: not where another one has it, nor where its body was
 * a secret that is gone. */
export function nextStep(deployment: Deployment): Step | undefined {
  const open = deployment.steps.filter((step) => step.state !== "done");
  if (deployment.elsewhere || open.some((step) => step.secret && step.body === undefined && !step.operation)) return undefined;
  return open[0];
}

/** How a deployment stands, in one word. */
export function standing(deployment: Deployment): "running" | "done" | "failed" | "unknown" {
  if (!deployment.ended) return "running";
  if (deployment.steps.some((step) => step.state === "failed")) return "failed";
  return deployment.steps.some((step) => step.state !== "done") ? "unknown" : "done";
}
