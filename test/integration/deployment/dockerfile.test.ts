import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from './compose-file.ts'

const read = (name: string) => readFileSync(join(root, name), 'utf8')
const dockerfile = read('Dockerfile')
const dockerignore = read('.dockerignore')

interface Step {
  readonly instruction: string
  readonly rest: string
}

function steps(text: string): Step[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ instruction: line.slice(0, line.indexOf(' ')), rest: line.slice(line.indexOf(' ') + 1) }))
}

/** The Node that the lock file brings to the tests. */
function testedNode(): string {
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { version: string } | undefined> }
  return lock.packages['node_modules/node']?.version ?? 'none'
}

/** What a Dockerfile and its .dockerignore do wrong. */
function problems(text: string, ignore: string = dockerignore): string[] {
  const all = steps(text)
  const of = (instruction: string) => all.filter((step) => step.instruction === instruction).map(({ rest }) => rest)
  const isJson = (rest: string | undefined) => /^\["[^\]]*"\]$/.test(rest ?? '')
  const copied = of('COPY')
    .filter((rest) => !rest.includes('--from='))
    .flatMap((rest) => rest.split(' ').slice(0, -1))
  const rules = ignore.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  const allowed = rules.slice(1).map((line) => line.replace(/^!/, ''))
  const needed = [...copied].toSorted().join()
  const checks: [string, boolean][] = [
    ['base', of('FROM').every((rest) => new RegExp(`^node:${testedNode()}-[a-z]+-slim( AS \\w+)?$`).test(rest))],
    ['stages', of('FROM').length === 2],
    ['digest', /^# .*@sha256:/m.test(text)],
    ['user', /^[1-9]\d*:[1-9]\d*$/.test(of('USER').at(-1) ?? '') && of('USER').length === 1],
    ['health check', /--interval=\d+s .*CMD \["node", /.test(of('HEALTHCHECK').at(-1) ?? '')],
    ['stop signal', of('STOPSIGNAL').join() === 'SIGTERM'],
    ['entry point', isJson(of('ENTRYPOINT')[0]) && isJson(of('CMD')[0])],
    ['dependencies', of('RUN').some((rest) => rest.startsWith('npm ci --omit=dev '))],
    [
      'secret',
      !all.some(({ instruction, rest }) => /^(ENV|ARG)$/.test(instruction) && /SECRET|TOKEN|PASSWORD|KEY/.test(rest)),
    ],
    ['copies everything', !copied.some((source) => /^[./*]/.test(source) && source !== '.npmrc')],
    ['fetches', of('ADD').length === 0],
    ['ignore list', rules[0] === '*' && rules.slice(1).every((line) => /^!\.?[\w-]+(\.json)?$/.test(line))],
    ['build context', [...new Set(allowed)].toSorted().join() === [...new Set(needed.split(','))].toSorted().join()],
  ]
  return checks.filter(([, kept]) => !kept).map(([name]) => name)
}

describe('the Dockerfile', () => {
  it('keeps every rule', () => {
    expect(problems(dockerfile)).toEqual([])
  })

  it.each([
    ['latest', 'node:26.10.0-trixie-slim', 'node:latest', 'base'],
    ['a moving tag', `node:${testedNode()}`, 'node:26', 'base'],
    ['root', 'USER 1000:1000', 'USER 0:0', 'user'],
    ['a name for the user', 'USER 1000:1000', 'USER node', 'user'],
    ['no user', 'USER 1000:1000\n', '', 'user'],
    ['no health check', /HEALTHCHECK .*\n/, '', 'health check'],
    ['curl', '"node", "--disable-warning=ExperimentalWarning", "config', '"curl", "config', 'health check'],
    ['another signal', 'STOPSIGNAL SIGTERM', 'STOPSIGNAL SIGINT', 'stop signal'],
    ['a shell before node', /ENTRYPOINT .*/, 'ENTRYPOINT node', 'entry point'],
    ['development dependencies', ' --omit=dev', '', 'dependencies'],
    ['a secret in the image', 'ENV NODE_ENV', 'ENV ADMIN_TOKEN=x NODE_ENV', 'secret'],
    ['a secret for the build', 'EXPOSE 1883', 'ARG NPM_TOKEN\nEXPOSE 1883', 'secret'],
    ['the whole checkout', 'COPY config config', 'COPY . .', 'copies everything'],
    ['a download', 'COPY config config', 'ADD https://example.org/x x', 'fetches'],
    ['a folder too many', 'COPY config config', 'COPY config config\nCOPY test test', 'build context'],
    ['one stage', /FROM .*AS dependencies\n/, '', 'stages'],
  ])('does not keep them with: %s', (_title, from, to, problem) => {
    const wrong = dockerfile.replaceAll(typeof from === 'string' ? from : new RegExp(from, 'g'), to)
    expect(wrong).not.toBe(dockerfile)
    expect(problems(wrong)).toContain(problem)
  })

  it.each([
    ['everything', '', 'ignore list'],
    ['all but a list', dockerignore.replace(/^\*$/m, 'node_modules'), 'ignore list'],
    ['a pattern', `${dockerignore}!**/*.ts\n`, 'ignore list'],
    ['the secrets', `${dockerignore}!secrets\n`, 'build context'],
    ['too little', dockerignore.replace('!shared\n', ''), 'build context'],
  ])('is not built from: %s', (_title, ignore, problem) => {
    expect(problems(dockerfile, ignore)).toContain(problem)
  })
})
