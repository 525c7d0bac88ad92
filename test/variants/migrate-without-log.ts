import { runMigration } from '../../services/cli/migrate/main.ts'
import { Session, type Host } from '../../services/cli/session.ts'
import { overriding } from '../../load-tests/reference/overriding.ts'

/** Known-wrong: a migration that takes every record of the log for stored. */
const host: Host = {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  isTerminal: false,
  outputIsTerminal: false,
  colors: false,
  nodeVersion: process.versions.node,
  execPath: process.execPath,
  pid: process.pid,
  interruption: () => new AbortController().signal,
}
const session = new Session(host, { json: true })
const report = await runMigration(session, {
  folder: session.settings.DATA_DIR,
  signal: host.interruption(),
  onProgress: () => {},
  through({ source, target }) {
    const lag: typeof source.log.lag = async (topic, group) => {
      const partitions = await source.log.lag(topic, group)
      return partitions.map((one) => ({ ...one, committed: one.end, records: 0, seconds: 0 }))
    }
    return { source: { ...source, log: overriding(source.log, { lag }) }, target }
  },
})
session.result(report, () => '')
process.exitCode = report.ok ? 0 : 1
