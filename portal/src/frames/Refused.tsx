import { Button, MessageBar, MessageBarBody, MessageBarTitle } from "@fluentui/react-components";
import { Suspense, type ComponentProps } from "react";
import type { Denied } from "../api/fault";
import { t } from "../texts";
import { soon } from "./later";

// Without them a refusal still says in the server's words what is missing.
const Facts = soon(() => import("./RefusedFacts").catch(() => ({ default: () => null })));

/** Which action on which scope is missing, and the command that grants it. */
export function RefusedFacts(props: ComponentProps<typeof Facts>) {
  return (
    <Suspense fallback={null}>
      <Facts {...props} />
    </Suspense>
  );
}

/** A refusal in the place of what may not be seen. */
export function Refused({ denied, message, retry }: { denied: Denied; message?: string; retry?: (() => void) | undefined }) {
  return (
    <MessageBar intent="warning" layout="multiline" role="alert">
      <MessageBarBody>
        <MessageBarTitle>{t.refused.title}</MessageBarTitle>
        {denied.command ? message?.split(/\s*To grant it:/)[0] : message}
        <RefusedFacts denied={denied} />
        {retry && <Button onClick={retry}>{t.failure.again}</Button>}
      </MessageBarBody>
    </MessageBar>
  );
}
