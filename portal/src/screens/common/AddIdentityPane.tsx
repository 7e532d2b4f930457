/** Subscription, filter, check boxes, **Add**. */

import { Checkbox, SearchBox, Text, Button } from "@fluentui/react-components";
import { useState } from "react";
import { sameId } from "../../api/resourceId";
import { Failure } from "../../frames/Failure";
import { Loaded } from "../../frames/Loaded";
import { Pane } from "../../frames/Pane";
import { SubscriptionField } from "../../frames/SubscriptionField";
import { t } from "../../texts";
import { useFurtherIdentities, useUserIdentities } from "./IdentityField";

export interface AddIdentityProps {
  open: boolean;
  subscription: string;
  there: string[];
  onClose: () => void;
  onAdd: (ids: string[]) => void;
}

export default function AddIdentityPane(props: AddIdentityProps) {
  const [subscription, setSubscription] = useState(props.subscription);
  const [wanted, setWanted] = useState("");
  const [chosen, setChosen] = useState<string[]>([]);
  const found = useUserIdentities(props.open ? subscription : "");
  const beyond = useFurtherIdentities(subscription, found.data?.more === true ? wanted.trim() : "");
  const close = () => {
    setChosen([]);
    props.onClose();
  };
  return (
    <Pane
      open={props.open}
      title={t.hubIdentity.associateTitle}
      onClose={close}
      footer={
        <Button
          appearance="primary"
          disabledFocusable={chosen.length === 0}
          onClick={() => {
            if (chosen.length === 0) return;
            setChosen([]);
            props.onAdd(chosen);
          }}
        >
          {t.hubIdentity.add}
        </Button>
      }
    >
      <SubscriptionField required value={subscription} onChange={setSubscription} />
      <SearchBox value={wanted} placeholder={t.list.filter} aria-label={t.list.filter} onChange={(_, data) => setWanted(data.value)} />
      <Loaded of={found}>
        {({ rows, more }) => {
          const free = [...rows, ...(beyond.data ?? []).filter((far) => !rows.some((row) => sameId(row.id, far.id)))].filter((row) => !props.there.some((id) => sameId(id, row.id)) && row.name.toLowerCase().includes(wanted.trim().toLowerCase()));
          return (
            <>
              {more && <Text block>{t.fields.cut(rows.length, false)}</Text>}
              {beyond.error && <Failure fault={beyond.error} retry={() => void beyond.refetch()} />}
              {free.length === 0 && <p role="status">{beyond.isFetching ? t.fields.asking : t.hubIdentity.none}</p>}
              {free.map((row) => (
            <div key={row.id}>
              <Checkbox
                label={`${row.name} (${row.resourceGroup})`}
                checked={chosen.includes(row.id)}
                onChange={(_, data) => setChosen(data.checked === true ? [...chosen, row.id] : chosen.filter((id) => id !== row.id))}
              />
            </div>
              ))}
            </>
          );
        }}
      </Loaded>
    </Pane>
  );
}
