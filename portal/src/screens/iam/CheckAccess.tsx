import { Button, makeStyles, MessageBar, MessageBarBody, Text } from "@fluentui/react-components";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Principal } from "../../api/directory";
import type { ResourceId } from "../../api/resourceId";
import { useAccount } from "../../auth/account";
import { Box } from "../../frames/Box";
import { TextField } from "../../frames/TextField";
import { Loaded } from "../../frames/Loaded";
import { Pane } from "../../frames/Pane";
import { RefusedFacts } from "../../frames/Refused";
import { t } from "../../texts";
import { decides, givenAt, scopeText, type Given } from "./access";
import { PrincipalSearch } from "./PrincipalSearch";

const useStyles = makeStyles({ cards: { display: "grid", gap: "16px", maxWidth: "760px", marginTop: "16px" }, row: { marginTop: "8px" } });

/** Who may do what here: oneself, somebody else, and a single action. */
export function CheckAccess({ id }: { id: ResourceId }) {
  const styles = useStyles();
  const account = useAccount();
  const [whom, setWhom] = useState<{ id: string; name: string } | undefined>(undefined);
  return (
    <div className={styles.cards}>
      <Box>
        <Text as="h2" weight="semibold" size={400}>
          {t.iam.myAccess}
        </Text>
        <Text>{t.iam.myAccessText}</Text>
        <div>
          <Button onClick={() => setWhom({ id: account.objectId, name: account.name })}>{t.iam.viewMine}</Button>
        </div>
      </Box>
      <Box>
        <Text as="h2" weight="semibold" size={400}>
          {t.iam.check}
        </Text>
        <Text>{t.iam.checkText}</Text>
        <PrincipalSearch onChosen={(principal: Principal) => setWhom({ id: principal.id, name: principal.displayName })} />
      </Box>
      <Box>
        <Text as="h2" weight="semibold" size={400}>
          {t.iam.canI}
        </Text>
        <CanI scope={id.id} />
      </Box>
      <Pane open={whom !== undefined} wide title={whom ? t.iam.accessOf(whom.name) : ""} onClose={() => setWhom(undefined)}>
        {whom && <Access scope={id.id} principal={whom.id} />}
      </Pane>
    </div>
  );
}

const useGiven = (scope: string, principal: string, enabled = true) =>
  useQuery({ queryKey: ["given", scope.toLowerCase(), principal], queryFn: async ({ signal }) => (await givenAt(scope, principal, signal)).rows, enabled });

function Access({ scope, principal }: { scope: string; principal: string }) {
  const found = useGiven(scope, principal);
  return (
    <Loaded of={found}>
      {(given) =>
        given.length === 0 ? (
          <Text>{t.iam.noAccess}</Text>
        ) : (
          <ul>
            {given.map((each) => (
              <li key={each.id}>
                <Text weight="semibold">{each.role?.properties.roleName ?? each.roleId}</Text>, {scopeText(each.scope, scope)}
                {each.principalId !== principal && `, ${t.iam.byGroup(each.principal?.displayName ?? each.principalId)}`}
                <div>{each.role?.properties.description}</div>
              </li>
            ))}
          </ul>
        )
      }
    </Loaded>
  );
}

/** Answers for one action, with the assignment that decides. */
function CanI({ scope }: { scope: string }) {
  const styles = useStyles();
  const account = useAccount();
  const [typed, setTyped] = useState("");
  const [action, setAction] = useState("");
  const given = useGiven(scope, account.objectId, action !== "");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        setAction(typed.trim());
      }}
    >
      <TextField label={t.iam.actionLabel} value={typed} placeholder="Microsoft.DeviceRegistry/namespaces/write" onChange={setTyped} />
      <Button type="submit" disabled={typed.trim() === ""}>
        {t.iam.ask}
      </Button>
      {action !== "" && (
        <div className={styles.row} aria-live="polite">
          <Loaded of={given}>{(all) => <Answer action={action} scope={scope} by={decides(all, action)} />}</Loaded>
        </div>
      )}
    </form>
  );
}

function Answer({ action, scope, by }: { action: string; scope: string; by: Given | undefined }) {
  if (by) {
    return (
      <MessageBar intent="success">
        <MessageBarBody>{t.iam.may(action, by.role?.properties.roleName ?? by.roleId, scopeText(by.scope, scope))}</MessageBarBody>
      </MessageBar>
    );
  }
  return (
    <MessageBar intent="warning" layout="multiline">
      <MessageBarBody>
        {t.iam.mayNot(action)}
        <RefusedFacts denied={{ action, scope }} />
      </MessageBarBody>
    </MessageBar>
  );
}
