import { Button, Dialog, DialogActions, DialogBody, DialogContent, DialogSurface, DialogTitle, Field, Input } from "@fluentui/react-components";
import { useState } from "react";
import { t } from "../texts";
import type { ConfirmProps } from "./Confirm";

/** What a question looks like. */
export default function ConfirmDialog(props: ConfirmProps) {
  return (
    <Dialog
      open={props.open}
      modalType="alert"
      onOpenChange={(_, data) => {
        if (!data.open) props.onClose();
      }}
    >
      <DialogSurface>{props.open && <ConfirmBody {...props} />}</DialogSurface>
    </Dialog>
  );
}

function ConfirmBody(props: ConfirmProps) {
  const [typed, setTyped] = useState("");
  const ready = props.name === undefined || typed === props.name;
  const confirm = () => {
    props.onConfirm();
    props.onClose();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (ready && !props.blocked) confirm();
      }}
    >
      <DialogBody>
        <DialogTitle>{props.title}</DialogTitle>
        <DialogContent>
          {props.children}
          {props.name !== undefined && !props.blocked && (
            <Field label={t.confirm.type(props.name)}>
              <Input value={typed} onChange={(_, data) => setTyped(data.value)} autoComplete="off" spellCheck={false} />
            </Field>
          )}
        </DialogContent>
        <DialogActions>
          {!props.blocked && (
            <Button appearance="primary" type="submit" disabled={!ready}>
              {props.action}
            </Button>
          )}
          <Button type="button" onClick={props.onClose}>
            {props.blocked ? t.common.close : (props.cancel ?? t.common.cancel)}
          </Button>
        </DialogActions>
      </DialogBody>
    </form>
  );
}
