import { Button, Tooltip } from "@fluentui/react-components";
import { CheckmarkRegular, CopyRegular } from "@fluentui/react-icons";
import { useState } from "react";
import { announce } from "../shell/announce";
import { t } from "../texts";

/** Milliseconds for which the check mark is shown. */
const SHOWN_MS = 2000;

/** Copies `value`; `what` names it for those who hear the page. */
export function CopyButton({ value, what }: { value: string; what: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(value);
    } catch {
      announce(t.copy.refused);
      return;
    }
    announce(t.copy.done(what));
    setCopied(true);
    setTimeout(() => setCopied(false), SHOWN_MS);
  };
  const label = t.copy.button(what);
  return (
    <Tooltip content={label} relationship="label">
      <Button appearance="subtle" size="small" icon={copied ? <CheckmarkRegular /> : <CopyRegular />} onClick={() => void copy()} />
    </Tooltip>
  );
}
