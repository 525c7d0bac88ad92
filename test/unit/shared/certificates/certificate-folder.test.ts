import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CertificateFolder, DUE_DAYS } from '../../../../shared/certificates/certificate-folder.ts'
import { tempFolder } from '../../../helpers.ts'

const DAY_MS = 86_400_000
const mode = (path: string) => statSync(path).mode & 0o777

async function made(): Promise<CertificateFolder> {
  const folder = new CertificateFolder(join(tempFolder(), 'tls'))
  await folder.init(['broker.example.org', '192.0.2.1'], 397)
  return folder
}

describe('a folder of certificates', () => {
  it('is for its user alone, and gives the broker what it reads and no more', async () => {
    const folder = await made()
    await folder.issue('a/1', 10)
    const path = (name: string) => join(folder.path, name)
    expect([
      mode(folder.path),
      mode(path('ca.key')),
      mode(path('broker/server.key')),
      mode(path('devices/a/1.key')),
    ]).toEqual([0o700, 0o600, 0o600, 0o600])
    const server = new X509Certificate(readFileSync(path('broker/server.crt')))
    expect(server.checkHost('broker.example.org')).toBe('broker.example.org')
    expect(server.checkIP('192.0.2.1')).toBe('192.0.2.1')
    expect(server.verify(new X509Certificate(readFileSync(path('ca.crt'))).publicKey)).toBe(true)
    const device = new X509Certificate(readFileSync(path('devices/a/1.crt')))
    expect([device.subject, device.ca]).toEqual(['CN=a/1', false])
  })

  it('takes the longest names', async () => {
    const name = `${'t'.repeat(64)}/${'d'.repeat(64)}`
    const folder = await made()
    await folder.issue(name, 10)
    const [{ file } = { file: '' }] = folder.list().filter(({ kind }) => kind === 'device')
    expect(new X509Certificate(readFileSync(file)).subject).toBe(`CN=${name}`)
  })

  it('overwrites nothing, and leaves its folder for no name', async () => {
    const folder = await made()
    await folder.issue('a/1', 10)
    await expect(folder.init(['x'], 1)).rejects.toMatchObject({ code: 'already_exists' })
    await expect(folder.issue('a/1', 10)).rejects.toMatchObject({ code: 'already_exists' })
    for (const name of ['a', '../x', 'a/..', '/a/b']) {
      await expect(folder.issue(name, 1), name).rejects.toMatchObject({ code: 'name_invalid' })
    }
    await folder.issue('a/../../b', 1)
    const files = folder.list().map(({ file }) => file)
    expect(files).toContain(join(folder.path, 'devices/a/..%2F..%2Fb.crt'))
    const empty = new CertificateFolder(tempFolder())
    await expect(empty.issue('a/1', 1)).rejects.toMatchObject({ code: 'not_found' })
  })

  it('renews what is named, or what is due; what was revoked stays so', async () => {
    const folder = await made()
    await folder.issue('a/1', DUE_DAYS - 1)
    await folder.issue('a/2', DUE_DAYS + 2)
    await folder.issue('a/3', 1)
    await folder.revoke('a/3')
    const serial = (name: string) => folder.list().find((one) => one.name === name && one.file !== '')?.serial
    const before = serial('a/1')
    expect((await folder.renew([])).map(({ name }) => name)).toEqual(['a/1'])
    expect(serial('a/1')).not.toBe(before)
    expect((await folder.renew(['a/2', 'server'])).map(({ name }) => name).toSorted()).toEqual(['a/2', 'server'])
    await expect(folder.renew(['a/3'])).rejects.toMatchObject({ code: 'not_found' })
    await expect(folder.renew(['a/9'])).rejects.toMatchObject({ code: 'not_found' })
  })

  it('keeps what is there, and gives the broker a name that it lacks', async () => {
    const folder = await made()
    expect(await folder.keep(['broker.example.org'])).toEqual([])
    expect(await folder.keep(['other.example.org'])).toMatchObject([{ kind: 'server' }])
    const server = new X509Certificate(readFileSync(folder.settings['MQTT_TLS_CERT_FILE'] ?? ''))
    expect([server.checkHost('other.example.org'), server.checkHost('broker.example.org')]).not.toContain(undefined)
  })

  it('lists what is valid, and what is in use even when it has ended', async () => {
    const folder = await made()
    await folder.issue('a/1', 5)
    await folder.renew(['a/1'])
    await folder.revoke('a/1')
    const states = (days: number) =>
      folder
        .list(Date.now() + days * DAY_MS)
        .filter(({ kind }) => kind === 'device')
        .map(({ revoked, file }) => [revoked, file !== ''])
    expect(states(0).toSorted()).toEqual(
      [
        [true, false],
        [true, true],
      ].toSorted(),
    )
    expect(states(6)).toEqual([[true, true]])
    expect(await folder.revoke('a/1')).toEqual([])
  })
})
