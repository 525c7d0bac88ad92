import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tempFolder } from '../../helpers.ts'
import { runAgainst } from './fake-service.ts'

/** Nothing is asked of the API. */
const NOWHERE = 'http://127.0.0.1:9'

it('makes an authority and certificates, and says for programs where they are', async () => {
  const folder = join(tempFolder(), 'tls')
  const cert = async (...args: string[]) => {
    const { code, stdout } = await runAgainst(NOWHERE, ['cert', ...args, '--folder', folder, '--json'])
    return { code, answer: JSON.parse(stdout) as Record<string, unknown> }
  }
  const init = await cert('init', '--name', 'broker.example.org')
  expect(init).toMatchObject({ code: 0, answer: { folder, made: true, server: { kind: 'server' } } })
  const { names } = init.answer['server'] as { names: string[] }
  expect(names.slice(0, 2)).toEqual(['broker.example.org', 'localhost'])
  for (const file of Object.values(init.answer['settings'] as object)) expect(existsSync(String(file))).toBe(true)

  expect(await cert('init')).toMatchObject({ code: 1, answer: { error: { code: 'already_exists' } } })
  expect(await cert('init', '--keep')).toEqual({ code: 0, answer: { folder, made: false, renewed: [] } })
  const issued = await cert('issue', 'a/1', '--days', '20')
  expect(issued).toMatchObject({ code: 0, answer: { name: 'a/1', days: 20 } })
  for (const field of ['certificate', 'key', 'ca']) expect(existsSync(String(issued.answer[field]))).toBe(true)

  expect(await cert('renew')).toMatchObject({ code: 0, answer: { renewed: [{ name: 'a/1', days: 20 }] } })
  expect((await cert('revoke', 'a/1')).answer['revoked']).toHaveLength(2)
  const { answer } = await cert('list')
  const rows = answer['certificates'] as { name: string; revoked: boolean }[]
  expect(rows.map(({ name, revoked }) => [name, revoked])).toEqual([
    ['a/1', true],
    ['a/1', true],
    ['server', false],
    ['ca', false],
  ])
})

it.each([
  ['../x/y', 1],
  ['a', 2],
])('refuses %s, which names no device', async (name, expected) => {
  const { code } = await runAgainst(NOWHERE, ['cert', 'issue', name, '--folder', tempFolder()])
  expect(code).toBe(expected)
})
