import { Table, TableBody, TableCell, TableRow } from "@fluentui/react-components";

/** What can be chosen, and what each is. */
export default function Comparison({ title, rows }: { title: string; rows: readonly (readonly [string, string])[] }) {
  return (
    <Table size="small" aria-label={title}>
      <TableBody>
        {rows.map(([name, text]) => (
          <TableRow key={name}>
            <TableCell>{name}</TableCell>
            <TableCell>{text}</TableCell>
          </TableRow>
        ))}
      </TableBody>
    </Table>
  );
}
