import { Text } from "@fluentui/react-components";
import { Page } from "../frames/Page";
import { t } from "../texts";

/** An address that no screen has. */
export function NotFound() {
  return (
    <Page title={t.notFound.title}>
      <Text>{t.notFound.text}</Text>
    </Page>
  );
}
