import { execFile } from 'node:child_process'
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { requireTools } from './tools.ts'

const run = promisify(execFile)

/** Paths of PEM files. */
export interface Certificate {
  readonly certificate: string
  readonly key: string
}

export interface Authority {
  /** Path of the authority's own certificate, PEM. */
  readonly ca: string
  issue(name: string): Promise<Certificate>
}

/** A certificate authority below `folder` whose certificates hold for 127.0.0.1 and localhost, for a day. */
export async function makeAuthority(folder: string): Promise<Authority> {
  requireTools('certificates', ['openssl'])
  mkdirSync(folder, { recursive: true })
  const path = (name: string) => join(folder, name)
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
  const ca = path('ca.pem')
  await run('openssl', ['req', '-x509', ...newKey, '-keyout', path('ca.key'), '-out', ca, '-subj', '/CN=sluice test'])
  const extensions = path('extensions')
  writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  const issue = async (name: string): Promise<Certificate> => {
    const [key, request, certificate] = [path(`${name}.key`), path(`${name}.csr`), path(`${name}.pem`)]
    const common = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', `/CN=${name}`]
    await run('openssl', ['req', '-new', ...common, '-keyout', key, '-out', request])
    const signed = ['-CA', ca, '-CAkey', path('ca.key'), '-CAcreateserial', '-days', '1', '-extfile', extensions]
    await run('openssl', ['x509', '-req', '-in', request, ...signed, '-out', certificate])
    return { certificate, key }
  }
  return { ca, issue }
}

/** Key and certificate in one file, as Java's PEM store takes them. */
export function joinPem({ key, certificate }: Certificate, target: string): string {
  writeFileSync(target, readFileSync(key))
  appendFileSync(target, readFileSync(certificate))
  return target
}
