import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import type { BrokerSettings } from '../config/broker.ts'
import { CertificateFolder } from '../shared/certificates/certificate-folder.ts'
import { tempFolder } from './helpers.ts'

/** An authority of its own for a test, as `sluice cert` makes it. */
export class TestAuthority {
  readonly folder: CertificateFolder

  private constructor(folder: CertificateFolder) {
    this.folder = folder
  }

  static async make(parent = tempFolder()): Promise<TestAuthority> {
    const folder = new CertificateFolder(join(parent, 'tls'))
    await folder.init(['localhost', '127.0.0.1'], 30)
    return new TestAuthority(folder)
  }

  /** File of the authority's certificate, for clients. */
  get ca(): string {
    return join(this.folder.path, 'ca.crt')
  }

  /** With this a broker listens on TLS, at a port of its own. */
  get settings(): Partial<BrokerSettings> {
    return { MQTT_TLS_PORT: 0, ...this.folder.settings }
  }

  /** Files of a device's certificate, which lasts `days`. */
  async device(name: string, days = 30): Promise<{ cert: string; key: string }> {
    await this.folder.issue(name, days)
    const file = join(this.folder.path, 'devices', name)
    return { cert: `${file}.crt`, key: `${file}.key` }
  }
}

/** One for all tests of a file, which change nothing of it: to make one takes longer than most of them. */
export function useAuthority(): () => TestAuthority {
  const parent = mkdtempSync(join(tmpdir(), 'sluice-test-'))
  let made: TestAuthority | undefined
  beforeAll(async () => {
    made = await TestAuthority.make(parent)
  })
  afterAll(() => rmSync(parent, { recursive: true, force: true }))
  return () => {
    if (made === undefined) throw new Error('the authority is not made yet')
    return made
  }
}
