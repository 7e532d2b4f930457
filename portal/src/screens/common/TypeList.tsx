/** The list of all resources of some types: made, tagged, filtered and deleted from here. */

import { AddRegular } from "@fluentui/react-icons";
import { useNavigate } from "react-router";
import { AppLink } from "../../frames/AppLink";
import { List, type Column, type Facet } from "../../frames/List";
import { Page } from "../../frames/Page";
import { t } from "../../texts";
import { useBulk } from "./Bulk";
import { rowId, type Row, type Rows } from "./columns";
import { useFound } from "./found";

interface Props {
  rows: Rows;
  words: { title: string; empty: string; create?: string; createTitle?: string };
  /** Address of the wizard. */
  create: string;
  columns: Column<Row>[];
  /** Filters beside those by the values that there are. */
  facets?: Facet<Row>[];
  /** What goes as a whole, with all that is in it, is not marked. */
  oneByOne?: boolean;
  crumbs?: { label: string; to: string }[];
}

export function TypeList({ rows, words, create, columns, facets = [], oneByOne = false, crumbs }: Props) {
  const navigate = useNavigate();
  const bulk = useBulk();
  const found = useFound(rows, columns);
  return (
    <Page title={words.title} crumbs={crumbs}>
      <List
        label={words.title}
        source={rows.source}
        columns={columns}
        rowId={rowId}
        facets={[...facets, ...found]}
        selectable={!oneByOne}
        commands={(picked) => [
          { id: "create", label: words.create ?? t.wizard.create, icon: <AddRegular />, onClick: () => void navigate(create) },
          ...(oneByOne ? [] : bulk.commands(picked)),
        ]}
        empty={
          <p>
            {words.empty} {words.createTitle && <AppLink to={create}>{words.createTitle}</AppLink>}
          </p>
        }
      />
      {bulk.dialogs}
    </Page>
  );
}
