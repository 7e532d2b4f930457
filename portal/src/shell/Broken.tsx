import { Button, Text, Title3 } from "@fluentui/react-components";
import { useEffect, useRef } from "react";
import { useRouteError } from "react-router";
import { anyForm, forgetForms } from "../frames/form";
import { t } from "../texts";

/** A screen that could not be shown: its file did not arrive, or it has a fault of its own. */
export function Broken({ fault }: { fault?: unknown }) {
  const thrown = useRouteError() ?? fault;
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${t.broken.title} - ${t.product}`;
    heading.current?.focus();
  }, []);
  return (
    <div style={{ padding: "24px", display: "grid", gap: "12px", justifyItems: "start" }}>
      <h1 ref={heading} tabIndex={-1} style={{ font: "inherit", margin: 0, outline: "none" }}>
        <Title3>{t.broken.title}</Title3>
      </h1>
      <Text>{t.broken.text}</Text>
      <Text size={200}>{thrown instanceof Error ? thrown.message : String(thrown)}</Text>
      <Button appearance="primary" onClick={() => location.reload()}>
        {t.broken.reload}
      </Button>
      {anyForm() && (
        <Button onClick={() => (forgetForms(), location.reload())}>{t.broken.forget}</Button>
      )}
    </div>
  );
}
