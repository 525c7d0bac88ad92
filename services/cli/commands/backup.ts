import { existsSync, readFileSync } from 'node:fs'
import type { KeyObject } from 'node:crypto'
import { join, resolve } from 'node:path'
import { newKeys, publicText, readPrivateKey, readPublicKey } from '../../../shared/backup/envelope.ts'
import { SluiceError, toSluiceError } from '../../../shared/errors.ts'
import { storeNew } from '../../../shared/storage/secret-file.ts'
import { newBackupFile, storeBackup, type StoredBackup } from '../backup/backup-file.ts'
import { ProgressLine } from '../progress-line.ts'
import type { Commands, Session } from '../session.ts'

interface BackupOptions {
  readonly recipient?: readonly string[]
  readonly plain?: boolean
  readonly keygen?: string
  readonly data?: string
}

interface RestoreOptions {
  readonly key?: string
  readonly data?: string
  readonly replace?: boolean
  readonly verify?: boolean
}

const collect = (value: string, before: readonly string[] = []): string[] => [...before, value]

export function addBackup({ program, run }: Commands): void {
  program
    .command('backup')
    .description('back a standalone Sluice up into one file, while it runs or when it is stopped')
    .argument('[file]', 'where the backup goes; must not exist')
    .option('--recipient <file>', 'X25519 public key in PEM that the backup is encrypted to; repeatable', collect)
    .option('--plain', 'do not encrypt: whoever has the file has the keys that logins are checked with')
    .option('--keygen <file>', 'make a pair of keys: the private one in the file, the public one beside it (.pub)')
    .option('--data <folder>', 'of a stopped Sluice (default: ask the API; DATA_DIR when nobody answers)')
    .action(run(backup))
  program
    .command('restore')
    .description('put a backup in the place of a data folder; what is there stays until the backup was found whole')
    .argument('<file>', 'the backup')
    .option('--key <file>', 'X25519 private key in PEM of a recipient')
    .option('--data <folder>', 'data folder, of a stopped Sluice (default: DATA_DIR)')
    .option('--replace', 'where there are data: keep them in a folder below, and take over what was revoked since')
    .option('--verify', 'only read the backup and compare it with its checksums')
    .action(run(restore))
}

async function backup(session: Session, path: string | undefined, options: BackupOptions): Promise<void> {
  if (options.keygen !== undefined) return keygen(session, options.keygen)
  const { recipient = [], plain = false } = options
  if (path === undefined) throw new SluiceError('bad_request', 'name the file that the backup goes to')
  if (plain === recipient.length > 0) {
    const text = 'a backup is encrypted: name who may open it (--recipient, --keygen makes the keys), or say --plain'
    throw new SluiceError('bad_request', text)
  }
  const recipients = recipient.map((name) => readPublicKey(readText(name), name))
  const file = newBackupFile(path)
  // With a key of its own whoever stores the backup can read it back, and throws the key away.
  const reader = plain ? undefined : newKeys()
  const all = reader === undefined ? [] : [...recipients, reader.publicKey]
  const stored = await take(session, all, { file, identity: reader?.privateKey }, options.data)
  tellStored(session, stored, plain ? [] : recipients.map(publicText))
}

async function take(
  session: Session,
  recipients: readonly KeyObject[],
  to: { readonly file: string; readonly identity: KeyObject | undefined },
  data: string | undefined,
): Promise<StoredBackup> {
  const folder = resolve(data ?? session.settings.DATA_DIR)
  const fromFolder = async (): Promise<StoredBackup> => {
    const { backUpFolder } = await import('../backup/main.ts')
    return backUpFolder({ env: session.host.env, folder }, recipients, to)
  }
  if (data !== undefined) return fromFolder()
  const keys = recipients.map(publicText)
  const asked = keys.length === 0 ? { plain: true } : { recipients: keys }
  try {
    return await storeBackup(await session.api.download('/v1/backup', asked), to.file, to.identity)
  } catch (error) {
    const isSilent = error instanceof SluiceError && error.code === 'api_unreachable'
    if (!isSilent || session.isAddressed || !existsSync(join(folder, 'registry.db'))) throw error
    session.note(`Nobody answers on ${session.url}: backing up ${folder} itself.`)
    return fromFolder()
  }
}

function tellStored(session: Session, { file, bytes, manifest }: StoredBackup, recipients: readonly string[]): void {
  const { made, sluice, tenants, parts } = manifest
  const content = parts.reduce((sum, part) => sum + part.bytes, 0)
  const facts = { file, bytes, made, sluice, tenants: tenants.length, parts: parts.length, content, recipients }
  session.result(facts, () =>
    [
      `${file}: ${mb(bytes)}, read back and whole`,
      `  made       ${made}, Sluice ${sluice}`,
      `  holds      ${parts.length} parts, ${mb(content)}, ${tenants.length} tenants`,
      `  opens with ${recipients.length === 0 ? 'nothing: it is plain' : recipients.join(', ')}`,
    ].join('\n'),
  )
}

function keygen(session: Session, path: string): void {
  const file = resolve(path)
  const { publicKey, privateKey } = newKeys()
  storeNew(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 0o600)
  storeNew(`${file}.pub`, publicKey.export({ type: 'spki', format: 'pem' }).toString(), 0o644)
  session.result({ privateKey: file, publicKey: `${file}.pub`, recipient: publicText(publicKey) }, () =>
    [
      `${file}      keep it safe, and elsewhere: without it no backup can be opened`,
      `${file}.pub  --recipient of ./sluice backup`,
    ].join('\n'),
  )
}

async function restore(session: Session, file: string, options: RestoreOptions): Promise<void> {
  const { key, replace = false } = options
  const identity = key === undefined ? undefined : readPrivateKey(readText(key), key)
  if (options.verify === true) {
    const { onlyCheck, readBackup } = await import('../../../shared/backup/backup-reader.ts')
    const { made, sluice, formats, tenants, parts } = await readBackup(file, identity, onlyCheck)
    const bytes = parts.reduce((sum, part) => sum + part.bytes, 0)
    const facts = { ok: true, file, made, sluice, formats, tenants, parts: parts.length, content: bytes }
    return session.result(facts, () => `${file} is whole: ${parts.length} parts, ${mb(bytes)}, made ${made}`)
  }
  const folder = resolve(options.data ?? session.settings.DATA_DIR)
  const { restore: run } = await import('../backup/main.ts')
  const line = new ProgressLine(session.host)
  const onProgress = (text: () => string): void => line.show(text)
  try {
    const done = await run({ env: session.host.env, folder, file: resolve(file), identity, replace, onProgress })
    line.end()
    const { manifest, kept, prepared } = done
    const { made, sluice } = manifest
    const taken = prepared.taken ?? null
    session.result({ folder, made, sluice, kept: kept ?? null, taken, deletedSpans: prepared.deletedSpans }, () =>
      [
        `${folder} is as it was at ${made}`,
        ...(kept === undefined ? [] : [`What was there is kept in ${kept}`]),
        ...(taken === null
          ? []
          : [
              `Taken over from it: ${taken.removedDevices.length} removed devices, ${taken.removedApplications.length} removed applications, ${taken.endedCredentials} ended credentials, ${taken.endedLogins.length} revoked logins, ${taken.tombstones.length} deleted spans`,
            ]),
        ...(kept !== undefined && taken === null
          ? ['Nothing was taken over from it: it is none of the same installation, or cannot be read']
          : []),
      ].join('\n'),
    )
  } finally {
    line.end()
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new SluiceError('not_found', `${file}: ${toSluiceError(error).message}`, { cause: error })
  }
}

function mb(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}
