import { Button, Dialog, DialogActions, DialogBody, DialogContent, DialogSurface, DialogTitle, makeStyles, Table, TableBody, TableCell, TableHeader, TableHeaderCell, TableRow } from "@fluentui/react-components";
import { t } from "../texts";

import type { ChangedProps } from "./ChangedDialog";

const useStyles = makeStyles({ cell: { overflowWrap: "anywhere", whiteSpace: "pre-wrap", verticalAlign: "top" } });

/** What somebody else changed beside what one would write oneself: field, theirs, yours, and what to do. */
export default function ChangedBox(props: ChangedProps) {
  const styles = useStyles();
  return (
    <Dialog open modalType="alert" onOpenChange={(_, data) => !data.open && props.onCancel()}>
      <DialogSurface>
        <DialogBody>
          <DialogTitle>{props.title}</DialogTitle>
          <DialogContent>
            {props.before}
            {props.differences.length > 0 && (
              <Table size="small" aria-label={t.conflict.table}>
                <TableHeader>
                  <TableRow>
                    <TableHeaderCell>{t.conflict.field}</TableHeaderCell>
                    <TableHeaderCell>{t.conflict.theirs}</TableHeaderCell>
                    <TableHeaderCell>{t.conflict.yours}</TableHeaderCell>
                  </TableRow>
                </TableHeader>
                <TableBody>
                  {props.differences.map((each) => (
                    <TableRow key={each.label}>
                      <TableCell>{each.label}</TableCell>
                      <TableCell className={styles.cell}>{each.theirs}</TableCell>
                      <TableCell className={styles.cell}>{each.mine}</TableCell>
                    </TableRow>
                  ))}
                </TableBody>
              </Table>
            )}
          </DialogContent>
          <DialogActions>
            <Button onClick={props.onReload}>{t.conflict.reload}</Button>
            <Button disabled={props.onOverwrite === undefined} onClick={() => props.onOverwrite?.()}>
              {t.conflict.overwrite}
            </Button>
            <Button onClick={props.onCancel}>{t.common.cancel}</Button>
          </DialogActions>
        </DialogBody>
      </DialogSurface>
    </Dialog>
  );
}
