import { hostname } from 'node:os'
import { join, resolve } from 'node:path'
import { wholeNumber, parseDeviceName } from '../argument-parsers.ts'
import type { CertificateFolder, Entry, Listed } from '../../../shared/certificates/certificate-folder.ts'
import type { Commands, Session } from '../session.ts'
import { textTable } from '../../../shared/text-table.ts'

interface FolderOptions {
  readonly folder?: string
}

interface InitOptions extends FolderOptions {
  readonly name?: readonly string[]
  readonly days: number
  readonly keep?: boolean
}

const MAX_DAYS = 3650
const FOLDER = ['--folder <path>', 'folder of the certificate authority (default: DATA_DIR/tls)'] as const
const days = wholeNumber(1, MAX_DAYS)

export function addCert({ program, run }: Commands): void {
  const cert = program.command('cert').description('built-in certificate authority, if you have no certificates yet')
  cert
    .command('init')
    .description('create the authority and the certificate of the broker')
    .option(...FOLDER)
    .option('--name <name>', 'host name or address under which devices reach the broker; repeatable', collectName)
    .option('--days <count>', 'validity of the broker certificate', days, 397)
    .option('--keep', 'keep an existing authority, and renew what is due or lacks a name')
    .action(run(init))
  cert
    .command('issue')
    .description('issue a certificate for a device to log in with')
    .argument('<tenant/device>', 'name of the device', deviceName)
    .option(...FOLDER)
    .option('--days <count>', 'validity of the certificate', days, 730)
    .action(run(issue))
  cert
    .command('renew')
    .description('renew the named certificates (tenant/device, or server), or all that expire within 30 days')
    .argument('[names...]', 'tenant/device, or server')
    .option(...FOLDER)
    .action(run(renew))
  cert
    .command('revoke')
    .description('revoke the certificates of a device')
    .argument('<tenant/device>', 'name of the device', deviceName)
    .option(...FOLDER)
    .action(run(revoke))
  cert
    .command('list')
    .description('list issued certificates and when they expire')
    .option(...FOLDER)
    .action(run(list))
}

async function init(session: Session, options: InitOptions): Promise<void> {
  const folder = await openFolder(session, options)
  if (options.keep === true && folder.exists) {
    const renewed = await folder.keep(options.name ?? [])
    session.result({ folder: folder.path, made: false, renewed }, () => `Kept ${folder.path}. ${renewedText(renewed)}`)
    return
  }
  const names = [...new Set([...(options.name ?? []), 'localhost', hostname(), '127.0.0.1', '::1'])]
  const server = await folder.init(names, options.days)
  const { settings } = folder
  session.result({ folder: folder.path, made: true, server, settings }, () =>
    [
      `Created a certificate authority in ${folder.path}. Keep ca.key secret; devices need ca.crt.`,
      `The certificate of the broker is for ${names.join(', ')}, valid until ${server.notAfter.slice(0, 10)}. Start the broker with:`,
      '',
      ...Object.entries(settings).map(([name, file]) => `  export ${name}=${file}`),
      '  ./sluice up',
      '',
      'MQTT_TLS_CLIENT_AUTH=request lets devices log in with `./sluice cert issue <tenant/device>`.',
    ].join('\n'),
  )
}

async function issue(session: Session, name: string, options: FolderOptions & { days: number }): Promise<void> {
  const folder = await openFolder(session, options)
  const entry = await folder.issue(name, options.days)
  const certificate = join(folder.path, 'devices', `${name}.crt`)
  const key = join(folder.path, 'devices', `${name}.key`)
  session.result({ ...entry, certificate, key, ca: join(folder.path, 'ca.crt') }, () =>
    [`${name} can log in with it until ${entry.notAfter.slice(0, 10)}:`, `  ${certificate}`, `  ${key}`].join('\n'),
  )
}

async function renew(session: Session, names: readonly string[], options: FolderOptions): Promise<void> {
  const folder = await openFolder(session, options)
  const renewed = await folder.renew(names)
  session.result({ renewed }, () => renewedText(renewed))
}

async function revoke(session: Session, name: string, options: FolderOptions): Promise<void> {
  const folder = await openFolder(session, options)
  const serials = await folder.revoke(name)
  session.result({ name, revoked: serials }, () =>
    serials.length === 0
      ? `${name} is already revoked.`
      : `Revoked ${name}; running brokers pick up the list within 2 s.`,
  )
}

async function list(session: Session, options: FolderOptions): Promise<void> {
  const folder = await openFolder(session, options)
  const certificates = folder.list()
  session.result({ folder: folder.path, certificates }, () =>
    certificates.length === 0 ? `No certificates issued in ${folder.path}.` : table(certificates),
  )
}

// Loaded by these commands only: making certificates is the largest part of the program.
async function openFolder(session: Session, { folder }: FolderOptions): Promise<CertificateFolder> {
  const { CertificateFolder } = await import('../../../shared/certificates/certificate-folder.ts')
  return new CertificateFolder(resolve(folder ?? join(session.settings.DATA_DIR, 'tls')))
}

function table(certificates: readonly Listed[]): string {
  const rows = certificates.map(({ kind, name, notAfter, daysLeft, revoked, file, serial }) => {
    const state = revoked ? 'revoked' : file === '' ? 'replaced' : daysLeft < 30 ? 'due' : ''
    return [kind, name, notAfter.slice(0, 10), String(daysLeft), state, serial]
  })
  return textTable(['kind', 'name', 'until', 'days', '', 'serial'], rows)
}

function renewedText(renewed: readonly Entry[]): string {
  if (renewed.length === 0) return 'No certificate is due for renewal.'
  return renewed.map(({ name, notAfter }) => `Renewed ${name} until ${notAfter.slice(0, 10)}.`).join('\n')
}

function collectName(name: string, before: readonly string[] = []): string[] {
  return [...before, name]
}

function deviceName(text: string): string {
  const { tenant, device } = parseDeviceName(text)
  return `${tenant}/${device}`
}
