import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { SluiceError } from '../errors.ts'
import { makePrivateFolder } from '../storage/folders.ts'
import { replaceFile } from '../storage/replace-file.ts'
import { checkNewDeviceName, checkNewName, encodeName } from '../names.ts'
import { printable } from '../printable.ts'
import { parseDeviceKey } from '../topics.ts'
import {
  createAuthority,
  createRevocationList,
  issueDevice,
  issueServer,
  type AuthorityFiles,
  type Issued,
} from './certificate-authority.ts'

/** What was issued, one JSON line each in `issued.jsonl`; the last line of a name is the one in use. */
export interface Entry {
  readonly kind: 'authority' | 'server' | 'device'
  /** `{tenant}/{device}` of a device. */
  readonly name: string
  readonly serial: string
  readonly notAfter: string
  readonly days: number
  /** Names and addresses of a server. */
  readonly names?: readonly string[]
}

export interface Listed extends Entry {
  readonly daysLeft: number
  readonly revoked: boolean
  /** The certificate; empty for one that was replaced. */
  readonly file: string
}

/** An authority is replaced by hand, which nobody wants to do often. */
const AUTHORITY_DAYS = 3650
/** What ends sooner is due for renewal. */
export const DUE_DAYS = 30
const DAY_MS = 86_400_000
const SERVER = 'server'

/**
 * A small certificate authority in a folder that only its user may enter: `ca.crt` for devices, `ca.key` to keep safe,
 * `broker/` with what the broker reads (and no more), `devices/` with what each device gets.
 */
export class CertificateFolder {
  readonly path: string

  constructor(path: string) {
    this.path = path
  }

  get exists(): boolean {
    return existsSync(this.#file('ca.key'))
  }

  /** The variables with which a broker uses it. */
  get settings(): Readonly<Record<string, string>> {
    return {
      MQTT_TLS_CERT_FILE: this.#file('broker/server.crt'),
      MQTT_TLS_KEY_FILE: this.#file('broker/server.key'),
      MQTT_TLS_CA_FILE: this.#file('broker/ca.crt'),
      MQTT_TLS_CRL_FILE: this.#file('broker/crl.pem'),
    }
  }

  /** Makes the authority and the certificate of the broker. Error: `already_exists`. */
  async init(names: readonly string[], days: number): Promise<Entry> {
    if (this.exists) throw new SluiceError('already_exists', `${this.path} already holds a certificate authority`)
    const authority = await createAuthority('Sluice device authority', AUTHORITY_DAYS)
    this.#write('ca.crt', authority.certificate, 0o644)
    this.#write('broker/ca.crt', authority.certificate, 0o644)
    this.#note({ kind: 'authority', name: 'ca', days: AUTHORITY_DAYS, ...facts(authority) })
    await this.#writeRevocations(authority, [])
    const entry = await this.#issueServer(authority, names, days)
    // Last: a folder without it is begun again.
    this.#write('ca.key', authority.key, 0o600)
    return entry
  }

  /** What is due is renewed, and the broker's certificate also when it lacks one of these names. Error: `not_found`. */
  async keep(names: readonly string[]): Promise<Entry[]> {
    const renewed = await this.renew([])
    const server = this.list().find(({ kind, file }) => kind === 'server' && file !== '')
    const known = server?.names ?? []
    if (server === undefined || names.every((name) => known.includes(name))) return renewed
    return [...renewed, await this.#issueServer(this.#authority(), [...new Set([...names, ...known])], server.days)]
  }

  /** A certificate for a device. Errors: `not_found` (no authority), `already_exists`. */
  async issue(name: string, days: number): Promise<Entry> {
    const parts = parseDeviceKey(name)
    if (parts === undefined) throw new SluiceError('name_invalid', `"${printable(name)}" is not <tenant>/<device>`)
    // `.` and `..` would lead to another folder.
    checkNewName('tenant', parts.tenant)
    checkNewDeviceName(parts.device)
    const authority = this.#authority()
    if (existsSync(this.#file(deviceFile(name)))) {
      throw new SluiceError(
        'already_exists',
        `${name} already has a certificate; \`sluice cert renew ${name}\` issues a new one`,
      )
    }
    return this.#issueDevice(authority, name, days)
  }

  /**
   * New keys and certificates in place of these, or of all that end within {@link DUE_DAYS} when none is named. Those of
   * before stay valid until they end. Errors: `not_found`.
   */
  async renew(names: readonly string[]): Promise<Entry[]> {
    const authority = this.#authority()
    const inUse = this.list().filter(({ kind, file, revoked }) => kind !== 'authority' && file !== '' && !revoked)
    const unknown = names.find((name) => !inUse.some((entry) => entry.name === name))
    if (unknown !== undefined) throw new SluiceError('not_found', `no valid certificate for ${unknown}`)
    const due = inUse.filter(({ name, daysLeft }) => (names.length > 0 ? names.includes(name) : daysLeft < DUE_DAYS))
    const renewed: Entry[] = []
    for (const { kind, name, days, names: alternatives = [] } of due) {
      const entry =
        kind === 'server' ? this.#issueServer(authority, alternatives, days) : this.#issueDevice(authority, name, days)
      renewed.push(await entry)
    }
    return renewed
  }

  /** Puts every certificate of a device on the revocation list. Error: `not_found`. */
  async revoke(name: string): Promise<string[]> {
    const authority = this.#authority()
    const serials = this.#entries().flatMap((entry) =>
      entry.kind === 'device' && entry.name === name ? [entry.serial] : [],
    )
    if (serials.length === 0) throw new SluiceError('not_found', `no certificate for ${name}`)
    const revoked = this.#revoked()
    const added = serials.filter((serial) => !revoked.some((one) => one.serial === serial))
    await this.#writeRevocations(authority, [...revoked, ...added.map((serial) => ({ serial, atMs: Date.now() }))])
    return added
  }

  /** Everything that was issued and has not ended, the soonest end first. */
  list(nowMs = Date.now()): Listed[] {
    const revoked = new Set(this.#revoked().map(({ serial }) => serial))
    const entries = this.#entries()
    const last = new Map(entries.map((entry) => [`${entry.kind} ${entry.name}`, entry]))
    return entries
      .map((entry) => {
        const daysLeft = Math.floor((Date.parse(entry.notAfter) - nowMs) / DAY_MS)
        const isInUse = last.get(`${entry.kind} ${entry.name}`) === entry
        const file = isInUse ? this.#file(fileOf(entry)) : ''
        return { ...entry, daysLeft, revoked: revoked.has(entry.serial), file }
      })
      .filter(({ daysLeft, file }) => daysLeft >= 0 || file !== '')
      .sort((a, b) => a.daysLeft - b.daysLeft)
  }

  async #issueServer(authority: AuthorityFiles, names: readonly string[], days: number): Promise<Entry> {
    const made = await issueServer(authority, names, days)
    this.#writePair('broker/server.crt', made)
    return this.#note({ kind: 'server', name: SERVER, days, names, ...facts(made) })
  }

  async #issueDevice(authority: AuthorityFiles, name: string, days: number): Promise<Entry> {
    const made = await issueDevice(authority, name, days)
    this.#writePair(deviceFile(name), made)
    return this.#note({ kind: 'device', name, days, ...facts(made) })
  }

  #authority(): AuthorityFiles {
    if (!this.exists)
      throw new SluiceError('not_found', `no certificate authority in ${this.path}; \`sluice cert init\` creates one`)
    return { certificate: this.#read('ca.crt'), key: this.#read('ca.key') }
  }

  /** Whoever reads between the two finds a pair that does not match, and reads again later. */
  #writePair(file: string, { certificate, key }: Issued): void {
    this.#write(file.replace(/\.crt$/, '.key'), key, 0o600)
    this.#write(file, certificate, 0o644)
  }

  async #writeRevocations(
    authority: AuthorityFiles,
    revoked: readonly { readonly serial: string; readonly atMs: number }[],
  ): Promise<void> {
    this.#write('broker/crl.pem', await createRevocationList(authority, revoked), 0o644)
    this.#write('revoked.json', `${JSON.stringify(revoked)}\n`, 0o600)
  }

  #revoked(): { serial: string; atMs: number }[] {
    if (!existsSync(this.#file('revoked.json'))) return []
    return JSON.parse(this.#read('revoked.json')) as { serial: string; atMs: number }[]
  }

  #entries(): Entry[] {
    if (!existsSync(this.#file('issued.jsonl'))) return []
    const lines = this.#read('issued.jsonl').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry)
  }

  #note(entry: Entry): Entry {
    makePrivateFolder(this.path)
    writeFileSync(this.#file('issued.jsonl'), `${JSON.stringify(entry)}\n`, { flag: 'a', mode: 0o600 })
    return entry
  }

  #file(name: string): string {
    return join(this.path, name)
  }

  #read(name: string): string {
    return readFileSync(this.#file(name), 'utf8')
  }

  #write(name: string, text: string, mode: number): void {
    const file = this.#file(name)
    makePrivateFolder(dirname(file))
    replaceFile(file, text, mode)
  }
}

/** The slashes of a device's own name are no folders. */
function deviceFile(name: string): string {
  const { tenant, device } = parseDeviceKey(name) ?? { tenant: '', device: name }
  return `devices/${tenant}/${encodeName(device)}.crt`
}

function fileOf({ kind, name }: Entry): string {
  if (kind === 'authority') return 'ca.crt'
  return kind === 'server' ? 'broker/server.crt' : deviceFile(name)
}

function facts({ serial, notAfter }: Issued): Pick<Entry, 'serial' | 'notAfter'> {
  return { serial, notAfter: notAfter.toISOString() }
}
