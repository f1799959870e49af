"""`labctl site`: the files of a broker with TLS and users, for several machines and people."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from labctl.cli.context import print_json, settings

if TYPE_CHECKING:
    from labctl.site.mosquitto import Account
    from labctl.site.site import Site

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Keep a broker with TLS and users for a site.")

Folder = Annotated[Path, typer.Argument(help="Folder of the site.", show_default=False)]
User = Annotated[str, typer.Argument(help="Name at the broker.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("init")
def init(
    context: typer.Context,
    folder: Folder,
    host: Annotated[list[str], typer.Option(help="Name or address of the broker's machine; may be repeated.")],
    user: Annotated[list[str] | None, typer.Option(metavar="NAME:ROLE", help="A user; may be repeated.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the site; else [lab] site of the configuration.")] = None,
    port: Annotated[int, typer.Option(help="Port of the broker.")] = 8883,
    force: Annotated[bool, typer.Option("--force", help="Make every key and password anew.")] = False,
    json: Json = False,
) -> None:
    """Write all that Mosquitto and its users need; what is there stays, what is missing or expires soon is made.

    Example: labctl site init /etc/labctl/site --host lab-pc.example.org --user anna:operator
    """
    from labctl.site.site import Site

    users = dict(_user(each) for each in user or ())
    site = name or settings(context).lab_settings().lab.site
    made = Site.init(folder, site=site, hosts=tuple(host), port=port, users=users, force=force)
    _tell(made, json=json)
    if not json:
        typer.echo(_NEXT.format(folder=folder.absolute(), user=next(iter(users), "daemon")))


@app.command("add")
def add(
    folder: Folder,
    user: User,
    role: Annotated[str, typer.Option(help="viewer, operator, admin; or recorder, daemon for a process of labctl.")],
    json: Json = False,
) -> None:
    """Let a user in, or make another role of the one that is there.

    Example: labctl site add /etc/labctl/site ben --role viewer
    """
    from labctl.site.site import Site

    site = Site.read(folder)
    site.add(*_user(f"{user}:{role}"))
    _tell(site, json=json)
    if not json:
        typer.echo(_RELOAD)


@app.command("remove")
def remove(folder: Folder, user: User, json: Json = False) -> None:
    """Let a user in no more.

    Example: labctl site remove /etc/labctl/site ben
    """
    from labctl.site.site import Site

    site = Site.read(folder)
    site.remove(user)
    _tell(site, json=json)
    if not json:
        typer.echo(_RELOAD)


def _user(text: str) -> "tuple[str, Account]":
    """Read `NAME:ROLE`."""
    from typing import cast

    from labctl.site.site import ACCOUNTS

    name, _, account = text.rpartition(":")
    if account not in ACCOUNTS or not name:
        raise typer.BadParameter(f'"{text}" is not NAME:ROLE; the roles are {", ".join(ACCOUNTS)}.')
    return name, cast("Account", account)


def _tell(site: "Site", *, json: bool) -> None:
    """Say what there is now and what is new; never a secret."""
    members = site.members
    if json:
        print_json({"site": members.site, "hosts": members.hosts, "users": members.users, "made": site.made})
        return
    for each in site.made or ["nothing: all was there"]:
        typer.echo(f"new: {each}")
    everybody = ", ".join(f"{user} ({account})" for user, account in members.users.items())
    typer.echo(f"Site {members.site} at mqtts://{members.hosts[0]}:{members.port}: {everybody}.")


_RELOAD = "Tell the broker: sudo systemctl reload mosquitto"
_NEXT = """\
Next:
1. Let the broker read its files:   sudo chown -R mosquitto: {folder}/broker && sudo chmod 711 {folder}
2. Let it use them:                 sudo ln -sf {folder}/broker/mosquitto.conf /etc/mosquitto/conf.d/labctl.conf
                                    sudo systemctl restart mosquitto
3. The daemon's config.toml:        [bus] broker = "{folder}/users/daemon.json", readable by its user alone
4. Hand each user the file users/NAME.json, by a way that nobody else sees; they set
                                    export LABCTL_BUS=~/.config/labctl/{user}.json
5. Delete the files you have handed over, and keep authority.key where nobody finds it."""
