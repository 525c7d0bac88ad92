import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import type { Command } from 'commander'
import { SluiceError } from '../../../shared/errors.ts'
import type { DeviceName } from '../argument-parsers.ts'
import { parseDeviceCsv, type DeviceRow, type LineProblem } from '../device-csv.ts'
import type { Commands, ExitCode, Session } from '../session.ts'
import type { NewLogin } from './login-text.ts'
import { printable } from '../../../shared/printable.ts'

/** Devices per request: what the API takes. */
const CHUNK = 1_000

interface ImportOptions {
  readonly dryRun?: true
  readonly out?: string
}

interface BulkAnswer {
  readonly devices: readonly (DeviceName & NewLogin)[]
  readonly skipped: readonly DeviceName[]
}

export function addDevicesImport(devices: Command, { run }: Pick<Commands, 'run'>): void {
  devices
    .command('import')
    .description('create the devices of a CSV file; writes their credentials to a file that only you can read')
    .argument('<file>', 'CSV with the columns tenant, device, and one for each tag')
    .option('--dry-run', 'show what would be created, without creating it')
    .option('--out <file>', 'output file for the credentials; must not exist (default: <file>.credentials.csv)')
    .action(run(importDevices))
}

async function importDevices(session: Session, file: string, options: ImportOptions): Promise<ExitCode> {
  const { devices, problems } = parseDeviceCsv(readText(file))
  const dryRun = options.dryRun === true
  const out = options.out ?? `${file}.credentials.csv`
  const failed = [...problems]
  const credentials = dryRun || devices.length === 0 ? undefined : openCredentials(out)
  let made = 0
  try {
    for (let start = 0; start < devices.length; start += CHUNK) {
      const part = devices.slice(start, start + CHUNK)
      const answer = await makeDevices(session, part, dryRun)
      failed.push(...existing(part, answer.skipped))
      made += dryRun ? part.length - answer.skipped.length : answer.devices.length
      credentials?.add(answer.devices)
    }
  } finally {
    credentials?.close()
    if (made > 0 && !dryRun) session.note(`Credentials of ${made} devices: ${out}`)
  }
  failed.sort((a, b) => a.line - b.line)
  const result = { made, dryRun, failed, credentials: credentials === undefined ? null : out }
  session.result(result, () => {
    const head = `${made} ${made === 1 ? 'device' : 'devices'} ${dryRun ? 'would be created' : 'created'}, ${failed.length} not`
    return [`${head}.`, ...failed.map(({ line, problem }) => printable(`line ${line}: ${problem}`))].join('\n')
  })
  return failed.length === 0 ? 0 : 1
}

function makeDevices(session: Session, rows: readonly DeviceRow[], dryRun: boolean): Promise<BulkAnswer> {
  const devices = rows.map(({ tenant, device, tags }) => ({ tenant, device, tags }))
  return session.api.post<BulkAnswer>('/v1/devices/bulk', { devices, existing: 'skip', dryRun })
}

function existing(rows: readonly DeviceRow[], skipped: readonly DeviceName[]): LineProblem[] {
  const names = new Set(skipped.map(({ tenant, device }) => `${tenant}/${device}`))
  return rows
    .filter(({ tenant, device }) => names.has(`${tenant}/${device}`))
    .map(({ line, tenant, device }) => ({ line, problem: `${tenant}/${device} already exists` }))
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new SluiceError('bad_request', `${file} cannot be read`, { cause: error })
  }
}

/** A new file for the owner alone; each batch is on disk before the next one is asked for. Error: `data_unwritable`. */
function openCredentials(path: string): { add(logins: BulkAnswer['devices']): void; close(): void } {
  const handle = open(path)
  writeSync(handle, 'tenant,device,username,secret,token\n')
  return {
    add(logins) {
      // None of these holds a comma or a quote.
      const lines = logins.map((it) => [it.tenant, it.device, it.username, it.secret, it.token].join(','))
      if (lines.length > 0) writeSync(handle, `${lines.join('\n')}\n`)
      fsyncSync(handle)
    },
    close: () => closeSync(handle),
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'wx', 0o600)
  } catch (error) {
    throw new SluiceError('data_unwritable', `${path} exists or cannot be created; choose another with --out`, {
      cause: error,
    })
  }
}
