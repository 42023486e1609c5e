# What the workload `perl` runs: hashes of hashes that grow and shrink, text by pattern and by
# piece, sorting by several keys, closures and objects. It prints sums, which are the same under
# every allocator; PERL_HASH_SEED=0 keeps the order of hashes. Its argument is how many percent of
# all that to do.
use strict;
use warnings;

my $percent = shift // 100;
my $state = 20261126;

sub below {
    my ($limit) = @_;
    $state = ($state * 1103515245 + 12345) % 2147483648;
    return int($state / 65536) % $limit;
}

sub some {
    my ($count) = @_;
    return int($count * $percent / 100) || 1;
}

package Item {
    sub new {
        my ($class, %fields) = @_;
        return bless {%fields}, $class;
    }

    sub weight {
        my ($self) = @_;
        return length($self->{name}) * $self->{count};
    }
}

sub stock {
    my %stock;
    for my $i (1 .. some(60000)) {
        my $shelf = 'shelf ' . main::below(900);
        my $name = 'item ' . main::below(5000);
        my $item = Item->new(name => $name, count => main::below(50), at => $i);
        push @{ $stock{$shelf}{$name} }, $item;
        delete $stock{ 'shelf ' . main::below(900) } if $i % 41 == 0;
    }
    my ($items, $weight) = (0, 0);
    for my $shelf (values %stock) {
        for my $list (values %$shelf) {
            $items += @$list;
            $weight += $_->weight for @$list;
        }
    }
    return ($items, $weight);
}

sub text {
    my @parts = qw(heap cell group page slot ring span meta free list);
    my @lines = map {
        join ' ', map { $parts[ below(10) ] . below(1000) } 1 .. 12
    } 1 .. some(9000);
    my %seen;
    for my $line (@lines) {
        $seen{$_}++ for split / /, $line;
    }
    my $all = join "\n", @lines;
    my $changed = ($all =~ s/(slot|ring)(\d+)/<$2:$1>/g);
    my $found = () = $all =~ /\bfree\d*5\b/g;
    return (scalar(keys %seen), $changed, $found, length $all);
}

sub sorted {
    my @rows = map { [ below(1000), 'key ' . below(30000), $_ ] } 1 .. some(40000);
    my @sorted = sort { $a->[0] <=> $b->[0] or $a->[1] cmp $b->[1] or $a->[2] <=> $b->[2] } @rows;
    my $sum = 0;
    $sum = ($sum * 31 + $_->[2]) % 1000003 for @sorted;
    return $sum;
}

sub closures {
    my @waiting;
    my $total = 0;
    for my $i (1 .. some(120000)) {
        my $kept = "value $i";
        push @waiting, sub { return length($kept) + $_[0] };
        if (@waiting > 500) {
            my $first = shift @waiting;
            $total += $first->($i % 3);
        }
    }
    return $total;
}

print join(' ', 'stock', stock()), "\n";
print join(' ', 'text', text()), "\n";
print join(' ', 'sorted', sorted()), "\n";
print join(' ', 'closures', closures()), "\n";
