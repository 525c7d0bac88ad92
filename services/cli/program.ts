import { Command, CommanderError } from 'commander'
import { toSluiceError } from '../../shared/errors.ts'
import { printable, printableLines } from '../../shared/printable.ts'
import { buildText, thisBuild } from '../../shared/process/version.ts'
import { addAcl } from './commands/acl.ts'
import { addApplications } from './commands/applications.ts'
import { addAudit } from './commands/audit.ts'
import { addBackup } from './commands/backup.ts'
import { addCert } from './commands/cert.ts'
import { addClaimKeys } from './commands/claim-keys.ts'
import { addConfig } from './commands/config.ts'
import { addDeadLetters } from './commands/dead-letters.ts'
import { addTrace } from './commands/trace.ts'
import { addDevices } from './commands/devices.ts'
import { addDoctor } from './commands/doctor.ts'
import { addPolicies } from './commands/policies.ts'
import { addJobs } from './commands/jobs.ts'
import { addLog } from './commands/log.ts'
import { addMigrate } from './commands/migrate.ts'
import { addImport } from './commands/import.ts'
import { addReadings } from './commands/readings.ts'
import { addRetention } from './commands/retention.ts'
import { addSimulate } from './commands/simulate.ts'
import { addStatus } from './commands/status.ts'
import { addTail } from './commands/tail.ts'
import { addDecoders } from './commands/decoders.ts'
import { addTopics } from './commands/topics.ts'
import { addTypes } from './commands/declared-types.ts'
import { addUp } from './commands/up.ts'
import { jsonLine, Session, type Commands, type GlobalOptions, type Host } from './session.ts'

const EXIT = { done: 0, failed: 1, usage: 2 } as const

/** The tree of commands. `outcome` receives the exit code of the one that runs; `json` is for what commander prints itself. */
export function buildProgram(host: Host, outcome: { code: number }, json = false): Command {
  const build = thisBuild()
  const program = new Command('sluice')
    .description('MQTT telemetry ingestion in which an acknowledgement means stored')
    .version(json ? JSON.stringify(build) : `sluice ${buildText(build)}`, '-V, --version', 'print the version and end')
    .option('--json', 'print only JSON on stdout')
    .option('--url <address>', 'address of the API (SLUICE_URL; default http://127.0.0.1:8080)')
    .configureHelp({ showGlobalOptions: true, helpWidth: 110 })
    .configureOutput({
      writeOut: host.stdout,
      writeErr: (text) => host.stderr(printableLines(text, { colors: false })),
    })
    .showHelpAfterError('(see --help)')
    .exitOverride()
  const commands: Commands = {
    program,
    run:
      <A extends unknown[]>(action: (session: Session, ...args: A) => Promise<number | void>) =>
      async (...args: [...A, Command]) => {
        // commander passes the command itself behind everything else.
        const command = args.at(-1) as Command
        const session = new Session(host, command.optsWithGlobals<GlobalOptions>())
        outcome.code = (await action(session, ...(args.slice(0, -1) as A))) ?? EXIT.done
      },
  }
  for (const add of COMMANDS) add(commands)
  return program
}

const COMMANDS = [
  addUp,
  addStatus,
  addDevices,
  addApplications,
  addClaimKeys,
  addAcl,
  addPolicies,
  addTypes,
  addTopics,
  addDecoders,
  addAudit,
  addImport,
  addSimulate,
  addTail,
  addReadings,
  addRetention,
  addDeadLetters,
  addTrace,
  addJobs,
  addDoctor,
  addBackup,
  addMigrate,
  addLog,
  addCert,
  addConfig,
] as const

/** Runs one command line and resolves with the exit code: 0 done, 1 failed, 2 a command line that is none. */
export async function runCli(args: readonly string[], host: Host): Promise<number> {
  const outcome: { code: number } = { code: EXIT.done }
  const json = args.includes('--json')
  try {
    await buildProgram(host, outcome, json).parseAsync([...args], { from: 'user' })
    return outcome.code
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error, json, host)
    if (error.exitCode === 0) return EXIT.done
    if (json) host.stdout(jsonLine({ error: { code: 'usage', message: error.message } }))
    return EXIT.usage
  }
}

function reportFailure(error: unknown, json: boolean, host: Host): number {
  const { code, message, kind } = toSluiceError(error)
  if (json) host.stdout(jsonLine({ error: { code, message, fix: kind.fix } }))
  const fix = code === 'command_failed' ? '' : ` ${kind.fix}`
  host.stderr(`sluice: ${printable(message)}${/[.!?]$/.test(message) ? '' : '.'}${fix}\n`)
  return EXIT.failed
}
