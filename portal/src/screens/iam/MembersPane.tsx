import { Button, makeStyles, SearchBox, Text } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { isGuid } from "../../api/directory";
import { queryAll } from "../../api/graphQuery";
import { ChoiceField } from "../../frames/Fields";
import { Loaded } from "../../frames/Loaded";
import { useSubscriptions } from "../../frames/load";
import { Pane } from "../../frames/Pane";
import { SubscriptionField } from "../../frames/SubscriptionField";
import { IDENTITY, infoOf } from "../../resources";
import { t } from "../../texts";
import { IDENTITY_KINDS, identitiesQuery, identityHits, ofKind, type Identity } from "./identities";
import { kindText, PrincipalSearch } from "./PrincipalSearch";
import { cutText } from "../../wellFormed";

/** Somebody who gets a role. */
export interface Member {
  id: string;
  name: string;
  kind: "User" | "Group" | "ServicePrincipal";
  /** Kind in words. */
  text: string;
}

export interface MembersProps {
  kind: "people" | "identity";
  open: boolean;
  chosen: Member[];
  onSelect: (members: Member[]) => void;
  onClose: () => void;
}

const useStyles = makeStyles({
  list: { listStyleType: "none", padding: 0, margin: "8px 0", display: "grid", gap: "2px" },
  hit: { justifyContent: "flex-start", width: "100%" },
  chosen: { margin: "12px 0" },
});

/** Select members: people by search, identities out of a list. */
export default function MembersPane(props: MembersProps) {
  return (
    <Pane open={props.open} title={props.kind === "people" ? t.iam.selectMembersTitle : t.iam.selectIdentities} onClose={props.onClose}>
      <Picker {...props} />
    </Pane>
  );
}

function Picker({ kind, chosen, onSelect, onClose }: MembersProps) {
  const styles = useStyles();
  const [members, setMembers] = useState(chosen);
  const add = (member: Member) => setMembers((before) => (before.some((each) => each.id === member.id) ? before : [...before, member]));
  const ids = members.map((member) => member.id);
  return (
    <>
      {kind === "people" ? (
        <PrincipalSearch chosen={ids} onChosen={(principal) => add({ id: principal.id, name: principal.displayName, kind: principal.kind, text: kindText(principal) })} />
      ) : (
        <Identities chosen={ids} onChosen={add} />
      )}
      <section className={styles.chosen} aria-label={t.iam.selected}>
        <Text weight="semibold">{t.iam.selected}</Text>
        <ul className={styles.list}>
          {members.map((member) => (
            <li key={member.id}>
              {member.name} ({member.text}){" "}
              <Button size="small" onClick={() => setMembers(members.filter((each) => each.id !== member.id))} aria-label={t.iam.removeMember(member.name)}>
                {t.common.remove}
              </Button>
            </li>
          ))}
        </ul>
      </section>
      <Button appearance="primary" disabledFocusable={members.length === 0} onClick={() => onSelect(members)}>
        {t.iam.selectButton}
      </Button>{" "}
      <Button onClick={onClose}>{t.common.close}</Button>
    </>
  );
}

function useIdentities(subscription: string) {
  return useQuery({
    queryKey: ["principals-of", subscription],
    queryFn: ({ signal }) => queryAll<Identity>(identitiesQuery(subscription), signal),
    enabled: subscription !== "",
  });
}

/** Hits that are shown at once. */
const SHOWN = 100;

const memberOf = (each: Identity): Member => ({ id: each.principalId, name: each.name, kind: "ServicePrincipal", text: t.iam.kinds.identity });

/** User-assigned identities, and those that resources have of their own. */
function Identities({ chosen, onChosen }: { chosen: string[]; onChosen: (member: Member) => void }) {
  const styles = useStyles();
  const subscriptions = useSubscriptions();
  const [picked, setPicked] = useState("");
  const subscription = picked || (subscriptions.data?.rows[0]?.subscriptionId ?? "");
  const [kind, setKind] = useState(IDENTITY);
  const [text, setText] = useState("");
  const found = useIdentities(subscription);
  const rows = found.data?.rows ?? [];
  const hits = identityHits(rows, kind, text);
  const typeText = (type: string) => (type.toLowerCase() === IDENTITY.toLowerCase() ? t.iam.userAssigned : (infoOf(type)?.one ?? type));
  const label = (type: string) => (found.data ? t.iam.identityKind(typeText(type), ofKind(rows, type).length) : typeText(type));
  const pasted = isGuid(text) ? hits[0] : undefined;
  useEffect(() => {
    // An object id that was pasted names one identity: nothing is left to choose.
    if (pasted) onChosen(memberOf(pasted));
  }, [pasted?.principalId]);
  return (
    <>
      <SubscriptionField value={subscription} onChange={setPicked} />
      <ChoiceField label={t.iam.managedIdentity} value={kind} choices={IDENTITY_KINDS.map((type) => ({ value: type, label: label(type) }))} onChange={setKind} />
      <SearchBox value={text} placeholder={t.iam.select} aria-label={t.iam.select} onChange={(_, data) => setText(cutText(data.value, 200))} />
      <Loaded of={found}>
        {({ more }) => (
          <>
            {more && <Text block>{t.iam.identitiesCut(rows.length)}</Text>}
            {hits.length > SHOWN && <Text block>{t.iam.hitsShown(SHOWN, hits.length)}</Text>}
            {hits.length === 0 && <p role="status">{t.fields.none}</p>}
            <ul className={styles.list}>
              {hits.slice(0, SHOWN).map((each) => (
                <li key={each.id}>
                  <Button className={styles.hit} appearance="subtle" disabledFocusable={chosen.includes(each.principalId)} onClick={() => onChosen(memberOf(each))}>
                    {pasted ? `${each.name} (${each.resourceGroup}, ${typeText(each.type)})` : `${each.name} (${each.resourceGroup})`}
                  </Button>
                </li>
              ))}
            </ul>
          </>
        )}
      </Loaded>
    </>
  );
}
