import { Button, MessageBar, MessageBarActions, MessageBarBody, MessageBarTitle, Text, makeStyles } from "@fluentui/react-components";
import { asFault } from "../api/fault";
import { t } from "../texts";
import { Refused } from "./Refused";

const useStyles = makeStyles({ body: { whiteSpace: "pre-wrap", overflowWrap: "anywhere" } });

/** What went wrong: text, code, request id, and a way to try again. A missing right is told as such. */
export function Failure({ fault: thrown, retry }: { fault: unknown; retry?: (() => void) | undefined }) {
  const styles = useStyles();
  const fault = asFault(thrown);
  if (fault.denied) return <Refused denied={fault.denied} message={fault.message} retry={retry} />;
  return (
    <MessageBar intent="error" layout="multiline" role="alert">
      <MessageBarBody className={styles.body}>
        <MessageBarTitle>{fault.code}</MessageBarTitle>
        {fault.message}
        {fault.details.map((detail, at) => (
          <div key={at}>{[detail.code, detail.message, detail.target].filter((part) => part).join(": ")}</div>
        ))}
        {fault.requestId && (
          <div>
            <Text size={200}>{t.failure.request(fault.requestId)}</Text>
          </div>
        )}
      </MessageBarBody>
      {retry && (
        <MessageBarActions>
          <Button onClick={retry}>{t.failure.again}</Button>
        </MessageBarActions>
      )}
    </MessageBar>
  );
}
