import { Button, makeStyles, SearchBox, Text, tokens } from "@fluentui/react-components";
import { ArrowDownloadRegular } from "@fluentui/react-icons";
import { useMemo, useState } from "react";
import { download } from "../csv";
import { t } from "../texts";
import { CopyButton } from "./CopyButton";

const useStyles = makeStyles({
  bar: { display: "flex", alignItems: "center", gap: "8px", flexWrap: "wrap", marginBottom: "8px" },
  code: {
    margin: 0,
    padding: "12px",
    overflowX: "auto",
    backgroundColor: tokens.colorNeutralBackground3,
    borderRadius: tokens.borderRadiusMedium,
    fontFamily: tokens.fontFamilyMonospace,
    fontSize: tokens.fontSizeBase200,
    lineHeight: tokens.lineHeightBase300,
  },
  hit: {
    backgroundColor: tokens.colorPaletteYellowBackground2,
    color: tokens.colorNeutralForeground1,
    "@media (forced-colors: active)": { forcedColorAdjust: "none", backgroundColor: "Mark", color: "MarkText" },
  },
});

/** A document, read only: searched by line, copied, saved. */
export function JsonView({ value, name }: { value: unknown; name: string }) {
  const styles = useStyles();
  const [wanted, setWanted] = useState("");
  const text = useMemo(() => JSON.stringify(value, null, 2) ?? "", [value]);
  const lines = text.split("\n");
  const needle = wanted.trim().toLowerCase();
  const hits = needle === "" ? 0 : lines.filter((line) => line.toLowerCase().includes(needle)).length;
  return (
    <div>
      <div className={styles.bar}>
        <SearchBox size="small" value={wanted} onChange={(_, data) => setWanted(data.value)} placeholder={t.json.search} aria-label={t.json.search} />
        {needle !== "" && <Text size={200}>{t.json.hits(hits)}</Text>}
        <CopyButton value={text} what={t.json.what} />
        <Button appearance="subtle" size="small" icon={<ArrowDownloadRegular />} onClick={() => download(`${name}.json`, text, "application/json")}>
          {t.json.save}
        </Button>
      </div>
      <pre className={styles.code} tabIndex={0} aria-label={t.json.label(name)}>
        {lines.map((line, at) => (
          <span key={at} className={needle !== "" && line.toLowerCase().includes(needle) ? styles.hit : undefined}>
            {line + "\n"}
          </span>
        ))}
      </pre>
    </div>
  );
}
