import type { Commands } from '../session.ts'

export function addUp({ program, run }: Commands): void {
  program
    .command('up')
    .description('run the whole of Sluice in this process, on embedded parts, until SIGTERM or Ctrl-C')
    .option('--lan', 'listen on the local network, too; plain MQTT and HTTP can be read there')
    .action(
      run(async (session, options: { lan?: boolean }) => {
        // Loaded here only: the other commands start faster without the servers.
        const { runStandalone } = await import('../../standalone/main.ts')
        const { banner, startReport } = await import('../../standalone/banner.ts')
        const code = await runStandalone({
          lan: options.lan === true,
          announce: (facts) =>
            session.result(startReport(facts), () => banner(facts, { showToken: session.host.outputIsTerminal })),
        })
        return code === 0 ? 0 : 1
      }),
    )
}
