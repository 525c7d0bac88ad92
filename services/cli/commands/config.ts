import { unknownNames } from '../../../config/all-settings.ts'
import { cliSettings } from '../../../config/cli.ts'
import { standaloneSettings } from '../../../config/standalone.ts'
import { explainConfig } from '../../../shared/config.ts'
import type { Commands, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'

export function addConfig({ program, run }: Commands): void {
  program
    .command('config')
    .description('settings, read from environment variables')
    .command('explain')
    .description('list every setting with its value (secrets masked) and its source')
    .action(run(explain))
}

async function explain(session: Session): Promise<void> {
  const settings = explainConfig({ ...standaloneSettings, ...cliSettings }, session.host.env)
  for (const { name, reason } of unknownNames(session.host.env)) session.note(`${name} is ignored: ${reason}`)
  session.result({ settings }, () => {
    const rows = settings.map(({ name, value, source, about }) => [name, value, source, about])
    return textTable(['setting', 'value', 'from', 'meaning'], rows)
  })
}
