#!/usr/bin/perl
# check_names.pl FILE...: names in SQL that are not schema-qualified, in the statements of C files and
# in SQL files.  Prints one line each and ends with 1 if there are any.
#
# Every function that runs with another's rights has search_path = pg_catalog, pg_temp.  So a table or
# type without its schema could be somebody's temporary one, and an operator that is not in pg_catalog
# would not be found.  Functions are written with their schema as well, so that a statement says the
# same wherever it runs.  Types of pg_catalog may be written plainly: pg_catalog comes first.
use strict;
use warnings;

# What looks like a call and is grammar.
my %grammar = map { $_ => 1 } qw(coalesce greatest least nullif extract exists in any all some values array row case when then else
  and or not from where select on using by as over filter within into set interval timestamp time char varchar numeric decimal cast lateral distinct
  unique check primary key references foreign default generated with ordinality between like is null end limit group order having union returning
  conflict to returns grant revoke execute function table if partition for range excluding include deferrable nulls only btree gin gist hash brin);
# Types, written plainly.
my %type = map { $_ => 1 } qw(text bigint int integer smallint boolean bool jsonb json uuid timestamptz timestamp interval date time numeric float8 real oid
  regclass regrole regtype regprocedure regnamespace name bytea cidr inet tstzrange int8 int4 int2 double char xid8 pg_snapshot record void trigger internal cstring anyelement tid);
# What stands after FROM, JOIN, INTO or UPDATE and is no table.
my %no_table = map { $_ => 1 } qw(lateral unnest select values only of set skip nowait now btree hash gin gist brin);

my @faults;
my %of_file;					# names that some statement of the file makes WITH, for pieces in macros

sub fault
{
	my ($file, $line, $what) = @_;
	push @faults, "$file:$line: $what";
	return;
}

# One statement, or a piece of one; what comes from a macro is a space.
sub check_sql
{
	my ($file, $line, $sql) = @_;
	my %local = %of_file;

	$sql =~ s/E?'(?:[^']|'')*'/''/g;
	$sql =~ s/%%/%/g;
	# Names that the statement makes itself: WITH x AS (, FROM (...) x, column aliases are never after FROM.
	$local{ lc $1 } = 1 while $sql =~ /\b(\w+)(?: \([\w, ]+\))? AS (?:NOT MATERIALIZED |MATERIALIZED )?\(/g;
	while ($sql =~ /(?<![.\w])(?:FROM|JOIN|USING|INTO|UPDATE|LOCK TABLE|REFERENCES|TRUNCATE)\s+(?:ONLY\s+)?((?:"?\w+"?\.)?"?[a-z_]\w*"?)(\s*\()?/g)
	{
		my ($name, $call, $at) = ($1, $2, $-[0]);
		next if $name =~ /\./ || substr($sql, $+[1]) =~ /\A\.(?:%s|\s|\z)/ || $no_table{ lc $name } || $local{ lc $name };
		# IS DISTINCT FROM x, FOR UPDATE OF t, DO UPDATE SET, extract(field FROM x), a function that has its own check
		next if substr($sql, 0, $at) =~ /(?:DISTINCT|\bFOR(?: NO KEY)?|\bDO|\bextract\(\w+|\bON(?: DELETE| UPDATE)?|OR)\s*\z/;
		next if $call && substr($sql, $at) =~ /\A(?:FROM|JOIN)/;
		fault($file, $line, "table $name");
	}
	# FROM a, b: what stands behind the commas.
	while ($sql =~ /\b(?:FROM|USING)\s+/g)
	{
		my ($list, $depth) = ('', 0);
		foreach my $piece (split /([(),]|\b(?:WHERE|GROUP|ORDER|LIMIT|UNION|RETURNING|HAVING|SET|WINDOW)\b|;)/, substr $sql, $+[0])
		{
			$depth++ if $piece eq '(';
			last if $piece eq ')' && $depth-- == 0;
			last if $depth == 0 && $piece =~ /\A(?:[A-Z]{3,}|;)\z/;
			$list .= $depth > 0 || $piece eq ')' ? ' ' : $piece;
		}
		my (undef, @items) = split /,/, $list;
		fault($file, $line, "table $_") foreach grep { !$local{$_} && !$no_table{$_} } map { /\A\s*([a-z_]\w*)(?![\w.(])/ ? lc $1 : () } @items;
	}
	while ($sql =~ /(?<![.\w"%])([a-z_][a-z0-9_]*)\s?\(/g)
	{
		my ($name, $at) = ($1, $-[0]);
		next if $grammar{$name} || $local{$name};
		next if substr($sql, 0, $at) =~ /(?:AS|\)|INTO [\w.]+|\bWITH|(?:INDEX|TABLE|ON) [\w.]+) *\z/ && substr($sql, $at + length $name) =~ /\A \(/;
		next if substr($sql, 0, $at) =~ /\bORDINALITY(?: AS)? \z/;
		next if substr($sql, $at) =~ /\A(?:char|varchar|numeric|interval|timestamptz)\(\d/;
		# column list of INSERT INTO t AS s (...), REFERENCES t (...), USING (...)
		next if substr($sql, 0, $at) =~ /\bAS \z/;
		fault($file, $line, "function $name");
	}
	while ($sql =~ /::\s*([a-z_]\w*)(?!\w|\.)/g)
	{
		fault($file, $line, "type $1") unless $type{$1};
	}
	# Operators of ours live in schema qms and are written OPERATOR(qms.=).
	fault($file, $line, "operator: $1") if $sql =~ /(\bnumber (?:=|<|>|<=|>=|<>) \$\d)/;
	return;
}

sub check_c
{
	my ($file, $text) = @_;

	%of_file = map { lc $_ => 1 } $text =~ /\bWITH (\w+) AS (?:MATERIALIZED )?\(/g;
	# Comments and messages are no SQL; their lines stay.
	$text =~ s{(/\*.*?\*/)}{ $1 =~ tr/\n//cdr }gse;
	$text =~ s{\b(?:err(?:msg|detail|hint)(?:_plural|_internal)?|elog|refuse\w*|bad_\w+|SETTING)(\((?:[^()"]++|"(?:[^"\\]|\\.)*+"|(?1))*\))}{ $1 =~ tr/\n//cdr }gse;
	while ($text =~ /((?:"(?:[^"\\]|\\.)*"(?:\s|\\\n|\b[A-Z][A-Z_0-9]*(?:\((?:[^()"]|"(?:[^"\\]|\\.)*")*\))?(?=\s))*)+)/g)
	{
		my ($pieces, $before) = ($1, substr($text, 0, $-[0]));
		my $line = 1 + ($before =~ tr/\n//);
		my $sql = join '', map { /\A"(.*)"\z/s ? $1 : ' ' } $pieces =~ /("(?:[^"\\]|\\.)*"|\b[A-Z_]{3,}\b)/g;

		$sql =~ s/\\"/"/g;
		next unless $sql =~ /\b(?:SELECT|INSERT INTO|UPDATE \w+|DELETE FROM|FROM|WHERE|JOIN|LOCK TABLE|ORDER BY)\b/;
		check_sql($file, $line, $sql);
	}
	return;
}

sub check_sql_file
{
	my ($file, $text) = @_;

	%of_file = ();
	$text =~ s{(/\*.*?\*/)}{ $1 =~ tr/\n//cdr }gse;
	$text =~ s{--.*}{}g;
	$text =~ s/^\\.*$//mg;
	my $line = 1;
	foreach my $statement (split /(?<=;)\n/, $text)
	{
		my $start = $line;
		$line += 1 + ($statement =~ tr/\n//);
		next if $statement =~ /\A\s*COMMENT ON/;
		if ($statement =~ /\A\s*(?:CREATE (?:UNIQUE |UNLOGGED )?(?:TABLE|VIEW|FUNCTION|AGGREGATE|TYPE|TRIGGER|INDEX|POLICY|OPERATOR(?: CLASS| FAMILY)?|CAST|SCHEMA|SEQUENCE)|ALTER \w+|GRANT|INSERT INTO|SELECT|DROP FUNCTION)\b/)
		{
			# What is made or changed has a schema, but for indexes, triggers, policies, casts and schemas.
			fault($file, $start, "made: $1") if $statement =~ /\A\s*(?:CREATE|ALTER) (?:UNLOGGED )?(?:TABLE|VIEW|FUNCTION|AGGREGATE|TYPE|OPERATOR(?: CLASS| FAMILY)?+|SEQUENCE) (?!qms\.|qms_internal\.)(\S+)/;
			$statement =~ s/\A\s*CREATE (?:UNLOGGED )?(?:TABLE|FUNCTION|AGGREGATE|TYPE|OPERATOR(?: CLASS)?|VIEW) \S+ ?(?=[\w(])//;
			fault($file, $start, "function $1") while $statement =~ /\b\w*FUNC = (?!qms_internal\.|qms\.|pg_catalog\.)(\S+)/g;
			$statement =~ s/\bSET search_path\b.*//g if $statement =~ /LANGUAGE c/;
			$statement =~ s/\b(?:INDEX|POLICY|TRIGGER) \w+ ON/ON/;
			check_sql($file, $start, $statement);
		}
		elsif ($statement =~ /\S/)
		{
			fault($file, $start, "a statement that this script does not know: " . substr($statement =~ s/\s+/ /gr, 0, 60));
		}
	}
	return;
}

foreach my $file (@ARGV)
{
	open my $in, '<', $file or die "$file: $!";
	local $/;
	my $text = <$in>;
	$file =~ /\.sql$/ ? check_sql_file($file, $text) : check_c($file, $text);
}
print "$_\n" foreach @faults;
exit(@faults ? 1 : 0);
