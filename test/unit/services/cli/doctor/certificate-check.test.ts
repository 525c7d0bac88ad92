import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { createAuthority } from '../../../../../shared/certificates/certificate-authority.ts'
import { checkCertificate } from '../../../../../services/cli/doctor/certificate-check.ts'
import { tempFolder } from '../../../../helpers.ts'

const DAY_MS = 86_400_000

it('warns when a certificate ends within 30 days, and fails when it has ended or is none', async () => {
  const file = join(tempFolder(), 'server.crt')
  writeFileSync(file, (await createAuthority('test', 100)).certificate)
  const after = (days: number) => checkCertificate('MQTT_TLS_CERT_FILE', file, Date.now() + days * DAY_MS)
  expect(after(0)).toMatchObject({ health: 'ok', detail: expect.stringContaining('99 days') as string })
  expect(after(71)).toMatchObject({ health: 'warn', fix: expect.stringContaining('cert renew') as string })
  expect(after(101)).toMatchObject({ health: 'fail', detail: expect.stringContaining('has expired') as string })
  writeFileSync(file, 'no certificate')
  expect(after(0)).toMatchObject({ health: 'fail', fix: expect.stringContaining('MQTT_TLS_CERT_FILE') as string })
})
