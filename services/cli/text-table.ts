import Table from 'cli-table3'

const LINES = [
  ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
  ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'],
]
const CHARS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(LINES.map((name): [string, string] => [name, ''])),
  middle: '  ',
}

/** Columns under headings, without lines, for people. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const style = { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true }
  const table = new Table({ head: [...head], chars: CHARS, style })
  table.push(...rows.map((row) => [...row]))
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n')
}
