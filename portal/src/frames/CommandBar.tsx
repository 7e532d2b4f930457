import { Button, makeStyles, Toolbar, ToolbarButton, Text, tokens } from "@fluentui/react-components";
import { useEffect, useRef, useState, type ReactElement } from "react";
import { t } from "../texts";
import { Bubble } from "./Bubble";
import { RefusedFacts } from "./Refused";
import { useMay, type Need } from "./rights";

/** A button of a command bar. */
export interface Command {
  id: string;
  label: string;
  icon?: ReactElement;
  onClick: () => void;
  /** Why it cannot be used now. */
  off?: string | undefined;
  /** The right that it needs; without it the button says which one is missing. */
  needs?: Need | undefined;
}

const useStyles = makeStyles({
  bar: { padding: "4px 0", flexWrap: "wrap", borderBottom: `1px solid ${tokens.colorNeutralStroke2}` },
  why: { maxWidth: "520px" },
});

/** One toolbar, walked by the arrow keys; narrow windows wrap it. */
export function CommandBar({ commands, label = t.commands.label }: { commands: Command[]; label?: string }) {
  const styles = useStyles();
  if (commands.length === 0) return null;
  return (
    <Toolbar className={styles.bar} aria-label={label} data-command-bar="">
      {commands.map((command) => (
        <CommandButton key={command.id} command={command} />
      ))}
    </Toolbar>
  );
}

/** A command that is off, or not allowed, stays in its place, takes the focus and says why. */
export function CommandButton({ command }: { command: Command }) {
  const styles = useStyles();
  const may = useMay(command.needs);
  const place = useRef<HTMLSpanElement>(null);
  const [open, setOpen] = useState(false);
  const { needs } = command;
  const off = !may || command.off !== undefined;
  const close = () => {
    setOpen(false);
    place.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    // There is nothing to say any more; whoever read it is back at the button.
    if (open && !off) close();
  }, [open, off]);
  // One element, on or off: another one in its place would not have the focus that this one has.
  return (
    <>
      <span
        ref={place}
        // Before the button hears it, which does nothing while it is off.
        onClickCapture={() => off && setOpen(true)}
        onKeyDownCapture={(event) => {
          if (!off || (event.key !== "Enter" && event.key !== " ")) return;
          event.preventDefault();
          setOpen(true);
        }}
      >
        <ToolbarButton icon={command.icon ?? null} disabledFocusable={off} onClick={command.onClick}>
          {command.label}
        </ToolbarButton>
      </span>
      <Bubble open={open && off} withArrow target={place.current} label={command.label} className={styles.why} onClose={close}>
          {!may && needs ? (
            <>
              <Text weight="semibold">{t.refused.control(command.label)}</Text>
              <RefusedFacts denied={{ action: needs.action, scope: needs.scope }} data={needs.data ?? false} />
            </>
          ) : (
            <Text block>{command.off}</Text>
          )}
          <Button size="small" onClick={close} style={{ marginTop: "8px" }}>
            {t.common.close}
          </Button>
      </Bubble>
    </>
  );
}
