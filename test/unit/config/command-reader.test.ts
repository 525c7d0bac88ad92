import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { commandReader } from '../../../config/command-reader.ts'
import { tempFolder } from '../../helpers.ts'

it('gives what the command prints, once for all who ask meanwhile, and anew for who asks later', async () => {
  const file = join(tempFolder(), 'runs')
  const read = commandReader('TOKEN_COMMAND', `echo run >>${file}; echo "  a token "`, 'log_refused')
  expect(await Promise.all([read(), read()])).toEqual(['a token', 'a token'])
  expect(readFileSync(file, 'utf8')).toBe('run\n')
  expect(await read()).toBe('a token')
  expect(readFileSync(file, 'utf8')).toBe('run\nrun\n')
})

it.each([
  ['echo geheim; echo no ticket >&2; exit 3', 'TOKEN_COMMAND: the command ended with 3: no ticket'],
  ['exit 1', 'TOKEN_COMMAND: the command ended with 1'],
  ['true', 'TOKEN_COMMAND: the command printed nothing'],
  ['head -c 100000 /dev/zero', 'TOKEN_COMMAND: the command ended with ERR_CHILD_PROCESS_STDIO_MAXBUFFER'],
])('says why there is nothing, and not what was printed: %s', async (command, message) => {
  await expect(commandReader('TOKEN_COMMAND', command, 'log_refused')()).rejects.toMatchObject({
    code: 'log_refused',
    message,
  })
})
