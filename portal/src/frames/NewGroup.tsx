/** "Create new" beside a resource group: takes a name; the group is made together with what goes into it. */

import { Button, Field, Input } from "@fluentui/react-components";
import { useState, type RefObject } from "react";
import { groupId } from "../api/resourceId";
import { groupName } from "../rules";
import { t } from "../texts";
import { cutText } from "../wellFormed";
import BubbleSurface from "./BubbleSurface";
import { useTaken } from "./checks";

export interface NewGroupProps {
  open: boolean;
  /** The button that opens it. */
  target: RefObject<HTMLButtonElement | null>;
  subscription: string;
  /** Names of groups that were read. */
  taken: string[];
  /** There are others, that were not. */
  cut: boolean;
  onChosen: (name: string) => void;
  onClose: () => void;
}

export default function NewGroup({ open, target, subscription, taken, cut, onChosen, onClose }: NewGroupProps) {
  const [name, setName] = useState("");
  const rule = name === "" ? undefined : groupName(name);
  const far = useTaken(cut && name !== "" && !rule ? groupId(subscription, name) : undefined);
  const exists = far.taken || taken.some((each) => each.toLowerCase() === name.toLowerCase());
  const fault = name !== "" && exists ? t.scope.groupExists : rule;
  const ready = name !== "" && !fault && !far.checking;
  const close = () => {
    onClose();
    target.current?.focus();
  };
  const choose = () => {
    if (!ready) return;
    onChosen(name);
    close();
    setName("");
  };
  return (
    <BubbleSurface open={open} target={target.current} label={t.scope.createNewGroup} onClose={close}>
        <Field label={t.scope.groupName} required hint={t.scope.groupText} {...(fault ? { validationState: "error" as const, validationMessage: fault } : {})}>
          <Input
            value={name}
            autoComplete="off"
            onChange={(_, data) => setName(cutText(data.value, 500))}
            onKeyDown={(event) => {
              if (event.key === "Enter") choose();
            }}
          />
        </Field>
        <Button appearance="primary" size="small" disabledFocusable={!ready} onClick={choose} style={{ marginTop: "8px", marginRight: "8px" }}>
          {t.common.ok}
        </Button>
        <Button size="small" onClick={close}>
          {t.common.cancel}
        </Button>
    </BubbleSurface>
  );
}
