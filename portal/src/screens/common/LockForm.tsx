/** The form of a lock. */

import { Radio, RadioGroup, Field, Button } from "@fluentui/react-components";
import { useState } from "react";
import { armPath } from "../../api/arm";
import { API } from "../../api/versions";
import { azLine } from "../../azLine";
import { AzLine } from "../../frames/AzLine";
import { TextField } from "../../frames/Fields";
import { lockName } from "../../rules";
import { deployments } from "../../shell/useDeployments";
import { t } from "../../texts";
import { LOCKS } from "./locksOver";

export default function AddForm({ id, onClose }: { id: string; onClose: () => void }) {
  const [name, setName] = useState("");
  const [level, setLevel] = useState("CanNotDelete");
  const [notes, setNotes] = useState("");
  const fault = name === "" ? undefined : lockName(name);
  const tooLong = notes.length > 512 ? t.locks.notesRule : undefined;
  const off = name === "" || fault !== undefined || tooLong !== undefined;
  const add = () => {
    const title = t.locks.addPlan(name);
    const path = armPath(`${id}${LOCKS}/${name}`, API.locks);
    deployments.start({ title, steps: [{ title, method: "PUT", path, body: { properties: { level, ...(notes ? { notes } : {}) } } }] });
    onClose();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!off) add();
      }}
    >
      <TextField label={t.locks.lockName} required value={name} fault={fault} onChange={setName} />
      <Field label={t.locks.type}>
        <RadioGroup value={level} onChange={(_, data) => setLevel(data.value)}>
          <Radio value="ReadOnly" label={t.locks.readOnly} />
          <Radio value="CanNotDelete" label={t.locks.delete} />
        </RadioGroup>
      </Field>
      <TextField label={t.locks.notes} value={notes} fault={tooLong} onChange={setNotes} />
      <AzLine lines={azLine("lock create", { "name": name || t.locks.lockName, "lock-type": level, "resource": id, "notes": notes || undefined })} />
      <Button type="submit" appearance="primary" disabledFocusable={off} style={{ margin: "12px 8px 0 0" }}>
        {t.common.ok}
      </Button>
      <Button onClick={onClose}>{t.common.cancel}</Button>
    </form>
  );
}
