import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'
import * as x509 from '@peculiar/x509'

/** A key pair and what it is certified as, PEM. */
export interface Issued {
  readonly certificate: string
  readonly key: string
  /** Hexadecimal. */
  readonly serial: string
  readonly notAfter: Date
}

export interface AuthorityFiles {
  readonly certificate: string
  readonly key: string
}

/** P-256 is what small devices can, and what TLS libraries do fastest. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 86_400_000
/** Clocks of devices are not exact: what is issued now is valid since an hour ago. */
const BACKDATED_MS = 3_600_000
/** 127 bits: positive, and never the same twice. */
const SERIAL_BYTES = 16

const { KeyUsageFlags, ExtendedKeyUsage } = x509

/** Makes a certificate authority that signs itself. */
export async function createAuthority(name: string, days: number): Promise<Issued> {
  const keys = await newKeys()
  const dates = validity(days)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...dates,
    serialNumber: newSerial(),
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      // It issues no further authorities.
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return issued(certificate, keys)
}

/** A certificate for a broker that is reached under these names and addresses. */
export function issueServer(authority: AuthorityFiles, names: readonly string[], days: number): Promise<Issued> {
  const alternatives = names.map((name) => ({
    type: isIP(name) === 0 ? ('dns' as const) : ('ip' as const),
    value: name,
  }))
  return issue(authority, names[0] ?? 'localhost', days, [
    new x509.ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension(alternatives),
  ])
}

/** A certificate with which a device logs in: its common name is `{tenant}/{device}`. */
export function issueDevice(authority: AuthorityFiles, name: string, days: number): Promise<Issued> {
  return issue(authority, name, days, [new x509.ExtendedKeyUsageExtension([ExtendedKeyUsage.clientAuth])])
}

/** A revocation list of these serial numbers, valid as long as the authority, PEM. */
export async function createRevocationList(
  authority: AuthorityFiles,
  revoked: readonly { readonly serial: string; readonly atMs: number }[],
): Promise<string> {
  const issuer = new x509.X509Certificate(authority.certificate)
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subject,
    thisUpdate: new Date(Date.now() - BACKDATED_MS),
    nextUpdate: issuer.notAfter,
    // With a reason, because the library writes an empty list of extensions without one, which OpenSSL refuses.
    entries: revoked.map(({ serial, atMs }) => ({
      serialNumber: serial,
      revocationDate: new Date(atMs),
      reason: x509.X509CrlReason.privilegeWithdrawn,
    })),
    signingAlgorithm: ALGORITHM,
    signingKey: await importKey(authority.key),
  })
  // The library's own name for it, CRL, is none that OpenSSL knows.
  return `${x509.PemConverter.encode(list.rawData, 'X509 CRL')}\n`
}

async function issue(
  authority: AuthorityFiles,
  name: string,
  days: number,
  extensions: readonly x509.Extension[],
): Promise<Issued> {
  const issuer = new x509.X509Certificate(authority.certificate)
  const keys = await newKeys()
  const dates = validity(days)
  const certificate = await x509.X509CertificateGenerator.create({
    notBefore: dates.notBefore,
    // Nobody believes a certificate for longer than its issuer.
    notAfter: dates.notAfter < issuer.notAfter ? dates.notAfter : issuer.notAfter,
    serialNumber: newSerial(),
    subject: [{ CN: [name] }],
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...extensions,
    ],
  })
  return issued(certificate, keys)
}

async function issued(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<Issued> {
  const { serialNumber: serial, notAfter } = certificate
  return { certificate: `${certificate.toString('pem')}\n`, key: await exportKey(keys.privateKey), serial, notAfter }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), x509.PemConverter.PrivateKeyTag)}\n`
}

function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), ALGORITHM, false, ['sign'])
}

function newSerial(): string {
  const bytes = randomBytes(SERIAL_BYTES)
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0)
  return bytes.toString('hex')
}

function validity(days: number): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(Date.now() - BACKDATED_MS), notAfter: new Date(Date.now() + days * DAY_MS) }
}
