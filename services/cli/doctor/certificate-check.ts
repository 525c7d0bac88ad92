import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Finding } from './health-checks.ts'

const DAY_MS = 86_400_000
/** Enough to renew it without haste. */
const WARN_DAYS = 30

/** When a certificate ends; `setting` is the variable that names the file. */
export function checkCertificate(setting: string, file: string, nowMs: number): Finding {
  const check = 'certificate'
  const fix =
    'Renew it (`./sluice cert renew server` if it came from `./sluice cert`); a running broker picks up the new file by itself.'
  try {
    const { validToDate } = new X509Certificate(readFileSync(file))
    const days = Math.floor((validToDate.getTime() - nowMs) / DAY_MS)
    const detail = `${file} (${setting}) is valid until ${validToDate.toISOString().slice(0, 10)}, ${days} days`
    if (days < 0) return { check, health: 'fail', detail: `${file} (${setting}) has expired`, fix }
    return days < WARN_DAYS ? { check, health: 'warn', detail, fix } : { check, health: 'ok', detail }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const cure = `Set ${setting} to a PEM certificate that this user can read.`
    return { check, health: 'fail', detail: `${file} (${setting}): ${reason}`, fix: cure }
  }
}
