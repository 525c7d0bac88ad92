import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { buildProgram, runCli } from '../../../../services/cli/program.ts'
import type { Host } from '../../../../services/cli/session.ts'
import { thisBuild } from '../../../../shared/process/version.ts'

function silentHost(): Host & { output: { stdout: string; stderr: string } } {
  const output = { stdout: '', stderr: '' }
  return {
    output,
    stdout: (text) => (output.stdout += text),
    stderr: (text) => (output.stderr += text),
    isTerminal: false,
    outputIsTerminal: false,
    colors: false,
    nodeVersion: '26.0.0',
    execPath: process.execPath,
    pid: process.pid,
    env: { SLUICE_URL: 'http://127.0.0.1:1', SLUICE_TOKEN: 'key' },
    interruption: () => new AbortController().signal,
  }
}

async function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const host = silentHost()
  const code = await runCli(args, host)
  return { code, ...host.output }
}

/** Commands that do something, by their full name. */
function leaves(command: Command, name = ''): [string, Command][] {
  const here = command.commands.filter((one) => one.name() !== 'help')
  if (here.length === 0) return [[name, command]]
  return here.flatMap((one) => leaves(one, `${name} ${one.name()}`.trim()))
}

const program = buildProgram(silentHost(), { code: 0 })
const verbs = leaves(program)
const page = readFileSync(join(import.meta.dirname, '../../../../docs/cli.md'), 'utf8')

describe('the command line', () => {
  it.each([
    ['frobnicate'],
    ['devices', 'frobnicate'],
    ['devices', 'add'],
    ['devices', 'add', 'a/b', 'c/d'],
    ['devices', 'add', 'no-slash'],
    ['devices', 'add', 'a b/c'],
    ['devices', 'add', 'ä/b'],
    ['devices', 'add', 'a/b', '--tag', '=x'],
    ['devices', 'list', '--limit', '0'],
    ['devices', 'list', '--frobnicate'],
    ['applications', 'add', 'a', '--allow', 'read:x'],
    ['applications', 'add', 'a', '--allow', 'publish'],
    ['applications', 'add', 'a/b'],
    ['simulate', '--qos', '3'],
    ['simulate', '--devices', '0'],
    ['simulate', '--devices', '1.5'],
    ['simulate', '--rate', '-1'],
    ['simulate', '--rate', ''],
    ['simulate', '--duration', '5 minutes'],
    ['simulate', '--duration', '0s'],
    ['simulate', '--inflight', '65536'],
    ['simulate', '--time-zone', 'Europe/Berlin'],
    ['simulate', '--mqtt', 'localhost'],
    ['tail', 'a b/c'],
    ['--url'],
    [],
  ])('%j %j %j %j is a usage error: exit 2, nothing on stdout', async (...args) => {
    const { code, stdout, stderr } = await run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).not.toBe('')
  })

  it('tells programs about a usage error, too', async () => {
    const { code, stdout } = await run(['frobnicate', '--json'])
    expect(JSON.parse(stdout)).toEqual({ error: { code: 'usage', message: "error: unknown command 'frobnicate'" } })
    expect(code).toBe(2)
  })

  it.each([['--version'], ['-V'], ['status', '--version'], ['-V', '--url', 'http://127.0.0.1:1']])(
    '%j %j tells the version, exit 0, without asking anybody',
    async (...args) => {
      const { version } = thisBuild()
      const { code, stdout, stderr } = await run(args)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(/^sluice \S+ \((commit [0-9a-f]{12}, )?Node v\d+\.\d+\.\d+\)\n$/)
      expect(stdout).toContain(`sluice ${version} `)
      expect(JSON.parse((await run([...args, '--json'])).stdout)).toEqual(JSON.parse(JSON.stringify(thisBuild())))
    },
  )

  it.each([...verbs.map(([name]) => name), ''])('%s --help explains itself with its options, exit 0', async (name) => {
    const { code, stdout, stderr } = await run([...name.split(' ').filter(Boolean), '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`Usage: sluice ${name}`)
    expect(stdout).toContain('--json')
  })

  it('has an explanation for each command, argument and option', () => {
    for (const [name, command] of verbs) {
      expect([name, command.description()]).not.toEqual([name, ''])
      for (const part of [...command.options, ...command.registeredArguments]) {
        expect([name, part.description]).not.toEqual([name, ''])
      }
    }
  })
})

describe('docs/cli.md', () => {
  const sections = new Map(
    page
      .split(/^### /m)
      .slice(1)
      .map((section): [string, string] => [section.split('\n', 1)[0]?.replaceAll('`', '').trim() ?? '', section]),
  )

  it('has a section for each command and none for others', () => {
    expect([...sections.keys()].sort()).toEqual(verbs.map(([name]) => `sluice ${name}`).sort())
  })

  it.each(verbs)('explains every option of %s and no other', (name, command) => {
    const section = sections.get(`sluice ${name}`) ?? ''
    const documented = [...section.matchAll(/^\| `(--[^`]+)`/gm)].map((match) => match[1])
    expect(documented.sort()).toEqual(command.options.map((option) => option.flags).sort())
  })

  it.each(verbs)('has an example of %s that is a valid command line', async (name) => {
    const section = sections.get(`sluice ${name}`) ?? ''
    const examples = [...section.matchAll(/^\.\/sluice (.*)$/gm)].map((match) => match[1] ?? '')
    const own = examples.filter((example) => example.startsWith(name))
    expect(own).not.toEqual([])
    for (const example of examples) {
      const words = [...example.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '')
      const parsed = withoutActions(buildProgram(silentHost(), { code: 0 }))
      await expect(parsed.parseAsync(words, { from: 'user' })).resolves.toBeDefined()
    }
  })
})

/** The same tree, in which no command does anything. */
function withoutActions(command: Command): Command {
  for (const one of command.commands) withoutActions(one)
  return command.commands.length > 0 ? command : command.action(() => {})
}
