import { join } from 'node:path'
import { format, resolveConfig } from 'prettier'
import { cliSettings } from '../../config/cli.ts'
import { brokerProcessSettings, ingestWorkerProcessSettings, queryApiProcessSettings } from '../../config/cluster.ts'
import { standaloneSettings } from '../../config/standalone.ts'
import type { Setting, Settings } from '../../shared/config.ts'

export const configurationFile = join(import.meta.dirname, '../configuration.md')

const cluster: Readonly<Record<string, Settings>> = {
  broker: brokerProcessSettings,
  'ingest-worker': ingestWorkerProcessSettings,
  'query-api': queryApiProcessSettings,
}

/** docs/configuration.md as it must be, from the tables that the services read. */
export async function configurationPage(): Promise<string> {
  const all: Settings = Object.fromEntries(Object.values(cluster).flatMap((table) => Object.entries(table)))
  const commands = Object.fromEntries(Object.entries(cliSettings).filter(([name]) => name.startsWith('SLUICE_')))
  const page = `# Settings

Settings are environment variables. A value that cannot be read stops the start with the name of the variable and the
reason; so does one that is required and missing. A name that is one slip away from a setting is ignored, and named at the
start. \`./sluice config explain\` lists the settings of the one-process Sluice with the values in effect.

A **secret** may also come from a file: \`NAME_FILE\` names it instead of \`NAME\`, and both at once are an error. Secrets
are masked wherever settings are shown. The token for InfluxDB is re-read when the server rejects it, so a new file takes
effect without a restart.

This page is written from [config/](../config/cluster.ts) by \`npm run docs:configuration\`; a test compares them.

## One process

What \`npm start\` and \`./sluice up\` read.

| variable | default | meaning |
| --- | --- | --- |
${rows(standaloneSettings, () => [])}

## Cluster

What the processes of a cluster read; a dot marks the processes that a setting belongs to.
[How to deploy them](deploy.md).

| variable | default | ${Object.keys(cluster).join(' | ')} | meaning |
| --- | --- | ${Object.keys(cluster)
    .map(() => ':-:')
    .join(' | ')} | --- |
${rows(all, (name) => Object.values(cluster).map((table) => (name in table ? '•' : '')))}

## Commands

What the commands of \`./sluice\` read in addition to the addresses and \`DATA_DIR\` above.

| variable | default | meaning |
| --- | --- | --- |
${rows(commands, () => [])}
`
  return format(page, { ...(await resolveConfig(configurationFile)), parser: 'markdown' })
}

function rows(settings: Settings, more: (name: string) => readonly string[]): string {
  return Object.entries(settings)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, setting]) => `| ${[`\`${name}\``, defaultOf(setting), ...more(name), meaning(setting)].join(' | ')} |`)
    .join('\n')
}

function defaultOf({ default: value, required }: Setting<unknown>): string {
  if (required === true) return '**required**'
  if (value === undefined) return ''
  return `\`${Array.isArray(value) ? value.join(',') : typeof value === 'string' ? value : JSON.stringify(value)}\``
}

function meaning({ about, secret }: Setting<unknown>): string {
  return `${about.replaceAll('|', '\\|')}${secret === true ? ' Secret.' : ''}`
}
