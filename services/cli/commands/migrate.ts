import { resolve } from 'node:path'
import { Option } from 'commander'
import { SluiceError } from '../../../shared/errors.ts'
import type { MigrationPlan, MigrationReport } from '../migrate/migration.ts'
import { ProgressLine } from '../progress-line.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'

interface MigrateOptions {
  readonly data?: string
  readonly dryRun?: boolean
}

export function addMigrate({ program, run }: Commands): void {
  program
    .command('migrate')
    .description('move a stopped standalone Sluice into a cluster, and compare; can be interrupted and resumed')
    .addOption(
      new Option('--from <deployment>', 'deployment to move from').choices(['standalone']).makeOptionMandatory(),
    )
    .addOption(new Option('--to <deployment>', 'deployment to move to').choices(['cluster']).makeOptionMandatory())
    .option('--data <folder>', 'data folder of standalone (default: DATA_DIR)')
    .option('--dry-run', 'show what would be moved, without moving anything')
    .action(run(migrate))
}

async function migrate(session: Session, { data, dryRun }: MigrateOptions): Promise<ExitCode> {
  const folder = resolve(data ?? session.settings.DATA_DIR)
  const { env } = session.host
  const migration = await import('../migrate/main.ts')
  if (dryRun === true) {
    const plan = await migration.dryRun({ env, folder })
    session.result({ folder, plan }, () => planText(folder, plan))
    return 0
  }
  const line = new ProgressLine(session.host)
  const signal = session.host.interruption()
  const onProgress = (text: () => string) => line.show(text)
  try {
    const report = await migration.runMigration({ env, folder, signal, onProgress })
    line.end()
    session.result({ folder, ...report }, () => reportText(folder, report))
    return report.ok ? 0 : 1
  } catch (error) {
    if (!signal.aborted) throw error
    throw new SluiceError('command_failed', 'stopped; run the same command again to continue', { cause: error })
  } finally {
    line.end()
  }
}

function planText(folder: string, plan: MigrationPlan): string {
  const rows = Object.entries(plan.rows).map(([table, count]) => [table.replaceAll('_', ' '), String(count)])
  const { devicesWithPoints, series, points, unconsumed, deadLetters } = plan
  const others = { 'devices with points': devicesWithPoints, series, points, 'unconsumed log': unconsumed }
  for (const [what, count] of Object.entries({ ...others, 'dead letters': deadLetters }))
    rows.push([what, String(count)])
  return [`Would move from ${folder}:`, '', textTable(['what', 'count'], rows)].join('\n')
}

function reportText(
  folder: string,
  { ok, comparisons, series, onlyInTarget, target, differences }: MigrationReport,
): string {
  const rows = comparisons.map(({ what, source, target: other }) => {
    const same = source.count === other.count && source.checksum === other.checksum
    return [what, String(source.count), String(other.count), source.checksum.slice(0, 12), same ? 'same' : 'DIFFERS']
  })
  const lines = [
    `From ${folder}`,
    `to   ${target}`,
    '',
    textTable(['what', 'standalone', 'cluster', 'checksum', ''], rows),
    '',
    `${series} series compared point by point.`,
  ]
  if (onlyInTarget > 0) lines.push(`${onlyInTarget} more points of their streams exist only in the cluster.`)
  if (!ok) lines.push('', `${differences.total} differences:`, ...differences.shown.map((text) => `  ${text}`))
  else lines.push('Everything was moved. Leave standalone stopped, and start the cluster with the same CREDENTIAL_KEY.')
  return lines.join('\n')
}
