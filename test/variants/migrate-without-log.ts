import { cliSettings } from '../../config/cli.ts'
import { runMigration } from '../../services/cli/migrate/main.ts'
import { loadConfig } from '../../shared/config.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: a migration that takes every record of the log for stored. */
const report = await runMigration({
  env: undefined,
  folder: loadConfig(cliSettings).DATA_DIR,
  signal: new AbortController().signal,
  onProgress: () => {},
  through({ source, target }) {
    const lag: typeof source.log.lag = async (topic, group) => {
      const partitions = await source.log.lag(topic, group)
      return partitions.map((one) => ({ ...one, committed: one.end, records: 0, seconds: 0 }))
    }
    return { source: { ...source, log: overriding(source.log, { lag }) }, target }
  },
})
process.stdout.write(`${JSON.stringify(report)}\n`)
process.exitCode = report.ok ? 0 : 1
