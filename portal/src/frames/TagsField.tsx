import { Button, Field, Input, Table, TableBody, TableCell, TableHeader, TableHeaderCell, TableRow } from "@fluentui/react-components";
import { DeleteRegular } from "@fluentui/react-icons";
import { tagFaults, type Tag } from "../rules";
import { t } from "../texts";
import { cutText } from "../wellFormed";
import { LONGEST } from "./TextField";

/** Rows of tags, with an empty one at the end. */
export function TagsField({ value, onChange }: { value: Tag[]; onChange: (value: Tag[]) => void }) {
  const faults = tagFaults(value);
  const rows = [...value, { name: "", value: "" }];
  const put = (at: number, tag: Tag) => onChange(rows.map((row, index) => (index === at ? tag : row)).filter((row, index) => index < value.length || row.name !== "" || row.value !== ""));
  return (
    <Table size="small" aria-label={t.tags.label} style={{ maxWidth: "820px" }}>
      <TableHeader>
        <TableRow>
          <TableHeaderCell>{t.tags.name}</TableHeaderCell>
          <TableHeaderCell>{t.tags.value}</TableHeaderCell>
          <TableHeaderCell style={{ width: "48px" }} aria-label={t.common.remove} />
        </TableRow>
      </TableHeader>
      <TableBody>
        {rows.map((row, at) => (
          <TableRow key={at}>
            <TableCell>
              <Field {...(faults.has(at) ? { validationState: "error" as const, validationMessage: faults.get(at) ?? "" } : {})}>
                <Input aria-label={t.tags.nameOf(at + 1)} value={row.name} onChange={(_, data) => put(at, { ...row, name: cutText(data.value, LONGEST) })} />
              </Field>
            </TableCell>
            <TableCell>
              <Input aria-label={t.tags.valueOf(at + 1)} value={row.value} style={{ width: "100%" }} onChange={(_, data) => put(at, { ...row, value: cutText(data.value, LONGEST) })} />
            </TableCell>
            <TableCell>
              {at < value.length && (
                <Button
                  appearance="subtle"
                  icon={<DeleteRegular />}
                  aria-label={t.tags.remove(row.name || String(at + 1))}
                  onClick={() => onChange(value.filter((_, index) => index !== at))}
                />
              )}
            </TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  );
}
