import { runCli } from './program.ts'
import type { Host } from './session.ts'

// Somebody who closes the pipe (`sluice tail | head`) has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

const host: Host = {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
  isTerminal: process.stderr.isTTY,
  outputIsTerminal: process.stdout.isTTY,
  colors: process.stdout.isTTY && process.stdout.hasColors(),
  nodeVersion: process.versions.node,
  execPath: process.execPath,
  pid: process.pid,
  interruption,
}

process.exitCode = await runCli(process.argv.slice(2), host)

function interruption(): AbortSignal {
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}
